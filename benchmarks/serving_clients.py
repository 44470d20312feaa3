"""Clients of `im2txt.serve`: normal, slow and disconnecting; and the server.

All connections are to 127.0.0.1.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import http.client
import re
import signal
import socket
import subprocess
import sys
import time
from typing import NamedTuple

from absl import flags

NUM_CLIENTS = flags.DEFINE_integer(
    "num_clients", 32, "Number of concurrent clients.", lower_bound=1
)

_BOUNDARY = "im2txt-benchmark"
_PATH = "/model/predict"
# Longer than the server's own timeout.
_TIMEOUT_SECS = 120

# The status of an `Answer` if the client disconnected without waiting for it.
LEFT = 0


class Answer(NamedTuple):
  """The response to a request.

  Attributes:
    status: The HTTP status, or `LEFT`.
    body: The body of the response.
    secs: Seconds from the first byte sent to the last byte received.
  """

  status: int
  body: bytes
  secs: float


class Server(NamedTuple):
  """A running server.

  Attributes:
    port: The port on which it listens.
    process: The process.
  """

  port: int
  process: subprocess.Popen

  def memory_mib(self) -> float:
    """Returns the resident memory of the process, in MiB."""
    path = f"/proc/{self.process.pid}/status"
    with open(path, encoding="utf-8") as file:
      match = re.search(r"VmRSS:\s*(\d+) kB", file.read())
    return int(match[1]) / 1024 if match else 0.0

  def figure(self, name: str) -> float:
    """Returns the value of one of its Prometheus metrics."""
    connection = _connect(self.port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    match = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(match[1]) if match else 0.0


@contextlib.contextmanager
def serve(*arguments: str) -> Iterator[Server]:
  """Runs a server for the duration of the context.

  Args:
    *arguments: Flags of `im2txt.serve`, without --port.

  Yields:
    The server, which is ready.

  Raises:
    RuntimeError: If the server does not start, or its exit status is not 0.
  """
  command = [sys.executable, "-m", "im2txt.serve", "--port=0", *arguments]
  process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
  try:
    line = process.stdout.readline() if process.stdout else ""
    match = re.search(r":(\d+)$", line.strip())
    if not match:
      raise RuntimeError("The server failed to start; see above.")
    yield Server(int(match[1]), process)
  finally:
    process.send_signal(signal.SIGTERM)
    status = process.wait(_TIMEOUT_SECS)
    if process.stdout:
      process.stdout.close()
  if status:
    raise RuntimeError(f"The server failed with exit status {status}.")


def request_body(image: bytes) -> bytes:
  """Returns a multipart form with an image."""
  head = (
      f"--{_BOUNDARY}\r\nContent-Disposition: form-data;"
      ' name="image"; filename="x.jpg"\r\n\r\n'
  )
  return head.encode() + image + f"\r\n--{_BOUNDARY}--\r\n".encode()


def ask(connection: http.client.HTTPConnection, body: bytes) -> Answer:
  """Sends a request and waits for the response."""
  start = time.perf_counter()
  connection.request("POST", _PATH, body, _headers())
  response = connection.getresponse()
  return Answer(response.status, response.read(), time.perf_counter() - start)


def connect_and_ask(port: int, body: bytes) -> Answer:
  """Sends a request on a new connection and waits for the response."""
  with contextlib.closing(_connect(port)) as connection:
    return ask(connection, body)


def trickle(
    port: int, body: bytes, *, num_parts: int = 8, pause_secs: float = 0.25
) -> Answer:
  """Sends a body slowly, in parts with pauses, without its length."""
  size = -(-len(body) // num_parts)

  def parts() -> Iterator[bytes]:
    for first in range(0, len(body), size):
      time.sleep(pause_secs)
      yield body[first : first + size]

  start = time.perf_counter()
  with contextlib.closing(_connect(port)) as connection:
    connection.request("POST", _PATH, parts(), _headers(), encode_chunked=True)
    response = connection.getresponse()
    return Answer(response.status, response.read(), time.perf_counter() - start)


def leave(port: int, body: bytes, *, share: float) -> Answer:
  """Sends a part of a request, and disconnects.

  Args:
    port: The port of the server.
    body: The body of the request.
    share: Share of the body to send; with 1, disconnects before the response.
  """
  head = (
      f"POST {_PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length:"
      f" {len(body)}\r\n"
  )
  head += "".join(f"{n}: {v}\r\n" for n, v in _headers().items()) + "\r\n"
  with socket.create_connection(("127.0.0.1", port)) as connection:
    connection.sendall(head.encode() + body[: int(share * len(body))])
  return Answer(LEFT, b"", 0.0)


def percentiles(secs: Sequence[float], shares: Sequence[float]) -> list[float]:
  """Returns percentiles, such as the 95th for the share 0.95."""
  ordered = sorted(secs)
  return [
      ordered[min(int(share * len(ordered)), len(ordered) - 1)]
      for share in shares
  ]


def keep_asking(
    port: int, next_body: Callable[[], bytes | None]
) -> Iterator[Answer]:
  """Sends one request after the other on one connection until body is None."""
  with contextlib.closing(_connect(port)) as connection:
    while body := next_body():
      yield ask(connection, body)


def _connect(port: int) -> http.client.HTTPConnection:
  return http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECS)


def _headers() -> dict[str, str]:
  return {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
