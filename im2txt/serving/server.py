"""Runs an application on a socket until a signal says to stop."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import logging
import signal
import socket

import uvicorn

from im2txt.runtime import stop_signals


def bind(host: str, port: int) -> socket.socket:
  """Returns a socket for `run`, so that a taken port fails at once.

  Args:
    host: A name or address of this machine.
    port: A port; with 0 the system chooses one.

  Raises:
    OSError: If the port is in use, or the like.
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
    # In one string, as these errors name no file.
    raise OSError(
        f"Can't listen on {host}, port {port}: {error.strerror}. Give another"
        " --port; with 0 the system chooses one."
    ) from error
  return bound


def run(
    application: Callable,
    bound: socket.socket,
    *,
    on_start: Callable[[str], None],
    stop_secs: int,
) -> None:
  """Answers requests until SIGINT or SIGTERM, then finishes what has begun.

  Args:
    application: An ASGI application.
    bound: The socket to listen on; closed at the end.
    on_start: Called with the server's URL when it listens.
    stop_secs: How long what has begun may take when the server is to stop.
  """
  # It warns of each body that is no form; the client is told that.
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
  """Uvicorn's server, but a signal to stop is no failure.

  Uvicorn's own raises the signal anew at the end, which would then be the exit
  status. A second signal ends the process at once, whatever it is at.
  """

  def __init__(self, config: uvicorn.Config, on_start: Callable[[str], None]):
    super().__init__(config)
    self._on_start = on_start
    self._stop = stop_signals.StopRequest()

  @contextlib.contextmanager
  def capture_signals(self) -> Iterator[None]:
    # What a second signal does; asyncio's own handler would cancel requests,
    # and wait for the batch in work.
    earlier = {
        caught: signal.signal(caught, signal.SIG_DFL)
        for caught in stop_signals.SIGNALS
    }
    try:
      with stop_signals.catch() as self._stop:
        yield
    finally:
      for caught, handler in earlier.items():
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
