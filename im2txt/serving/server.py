"""Runs an ASGI application on a socket until SIGINT or SIGTERM."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import logging
import signal
import socket

import uvicorn

from im2txt.runtime import stop_signals


def bind(host: str, port: int) -> socket.socket:
  """Returns a bound socket for `run`.

  Bound before the model is loaded, so that a port in use fails at once.

  Args:
    host: A host name or address of this machine.
    port: The port; 0 for any free one.

  Raises:
    OSError: If the socket can't be bound, for instance as the port is in use.
  """
  try:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with contextlib.ExitStack() as on_error:
      bound = on_error.enter_context(socket.socket(family, kind, protocol))
      bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      bound.bind(address)
      on_error.pop_all()
  except OSError as error:
    # A single string, as there is no file name to give to OSError.
    raise OSError(
        f"Can't listen on {host}, port {port}: {error.strerror}. Choose another"
        " --port, or 0 for any free one."
    ) from error
  return bound


def run(
    application: Callable,
    bound: socket.socket,
    *,
    on_start: Callable[[str], None],
    stop_secs: int,
) -> None:
  """Serves until SIGINT or SIGTERM, then finishes the accepted requests.

  Args:
    application: The ASGI application.
    bound: The socket to listen on; closed at the end.
    on_start: Function that is called with the server's URL once it listens.
    stop_secs: How long to wait for accepted requests when stopping, in seconds.
  """
  # It would log each malformed form, which the client gets as an error.
  logging.getLogger("python_multipart").setLevel(logging.ERROR)
  config = uvicorn.Config(
      application,
      http="h11",
      ws="none",
      lifespan="on",
      log_config=None,
      log_level="warning",
      access_log=False,
      server_header=False,
      timeout_graceful_shutdown=stop_secs,
  )
  _Server(config, on_start).run([bound])


class _Server(uvicorn.Server):
  """A Uvicorn server whose exit status is 0 after SIGINT or SIGTERM.

  Uvicorn itself raises the signal again at the end, so the process would be
  killed by it. A second signal ends the process at once.
  """

  def __init__(self, config: uvicorn.Config, on_start: Callable[[str], None]):
    super().__init__(config)
    self._on_start = on_start
    self._stop = stop_signals.StopRequest()

  @contextlib.contextmanager
  def capture_signals(self) -> Iterator[None]:
    # The default handlers, for a second signal: asyncio's handler would cancel
    # requests, and wait for the current batch.
    previous = {
        caught: signal.signal(caught, signal.SIG_DFL)
        for caught in stop_signals.SIGNALS
    }
    try:
      with stop_signals.catch() as self._stop:
        yield
    finally:
      for caught, handler in previous.items():
        signal.signal(caught, handler)

  async def startup(self, sockets: list[socket.socket] | None = None) -> None:
    await super().startup(sockets)
    for bound in sockets or ():
      self._on_start(_url(bound))

  async def on_tick(self, counter: int) -> bool:
    return await super().on_tick(counter) or self._stop.signal is not None


def _url(bound: socket.socket) -> str:
  host, port = bound.getsockname()[:2]
  return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
