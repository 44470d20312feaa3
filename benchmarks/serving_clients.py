"""Clients of `im2txt.serve` of all manners, and a server for them to talk to.

Everything stays on 127.0.0.1.
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
    "num_clients", 32, "How many clients ask at a time.", lower_bound=1
)

_BOUNDARY = "im2txt-benchmark"
_PATH = "/model/predict"
# Longer than the server itself takes before it gives an answer up.
_TIMEOUT_SECS = 120

# What a client that left without waiting has in place of an answer's status.
LEFT = 0


class Answer(NamedTuple):
  """What came of a request.

  Attributes:
    status: HTTP's, or `LEFT`.
    body: The answer's.
    secs: From the first byte sent to the last one received.
  """

  status: int
  body: bytes
  secs: float


class Server(NamedTuple):
  """A running server.

  Attributes:
    port: Where it listens.
    process: The process.
  """

  port: int
  process: subprocess.Popen

  def memory_mib(self) -> float:
    """Returns what it holds in memory now, in MiB."""
    path = f"/proc/{self.process.pid}/status"
    with open(path, encoding="utf-8") as file:
      match = re.search(r"VmRSS:\s*(\d+) kB", file.read())
    return int(match[1]) / 1024 if match else 0.0

  def figure(self, name: str) -> float:
    """Returns one of the figures that it has for Prometheus."""
    connection = _connect(self.port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    match = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(match[1]) if match else 0.0


@contextlib.contextmanager
def serve(*arguments: str) -> Iterator[Server]:
  """Runs a server while the context lasts.

  Args:
    *arguments: Flags of `im2txt.serve`; the system chooses the port.

  Yields:
    The server, ready.

  Raises:
    RuntimeError: If it does not start, or its exit status is not 0.
  """
  command = [sys.executable, "-m", "im2txt.serve", "--port=0", *arguments]
  process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
  try:
    line = process.stdout.readline() if process.stdout else ""
    match = re.search(r":(\d+)$", line.strip())
    if not match:
      raise RuntimeError("The server has not started; see above.")
    yield Server(int(match[1]), process)
  finally:
    process.send_signal(signal.SIGTERM)
    status = process.wait(_TIMEOUT_SECS)
    if process.stdout:
      process.stdout.close()
  if status:
    raise RuntimeError(f"The server ended with the exit status {status}.")


def request_body(image: bytes) -> bytes:
  """Returns an image as a form's field."""
  head = (
      f"--{_BOUNDARY}\r\nContent-Disposition: form-data;"
      ' name="image"; filename="x.jpg"\r\n\r\n'
  )
  return head.encode() + image + f"\r\n--{_BOUNDARY}--\r\n".encode()


def ask(connection: http.client.HTTPConnection, body: bytes) -> Answer:
  """Sends a request and waits for its answer."""
  start = time.perf_counter()
  connection.request("POST", _PATH, body, _headers())
  response = connection.getresponse()
  return Answer(response.status, response.read(), time.perf_counter() - start)


def connect_and_ask(port: int, body: bytes) -> Answer:
  """Returns the same on a connection of its own."""
  with contextlib.closing(_connect(port)) as connection:
    return ask(connection, body)


def trickle(
    port: int, body: bytes, *, num_parts: int = 8, pause_secs: float = 0.25
) -> Answer:
  """Sends a request's body without its length, in parts with pauses between."""
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
  """Sends some of a request, and is gone.

  Args:
    port: The server's.
    body: The body.
    share: How much of it is sent; with 1 the client is gone before the answer.
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
  """Returns the values that these shares of all don't exceed."""
  ordered = sorted(secs)
  return [
      ordered[min(int(share * len(ordered)), len(ordered) - 1)]
      for share in shares
  ]


def keep_asking(
    port: int, next_body: Callable[[], bytes | None]
) -> Iterator[Answer]:
  """Asks again and again on one connection, until there is no body."""
  with contextlib.closing(_connect(port)) as connection:
    while body := next_body():
      yield ask(connection, body)


def _connect(port: int) -> http.client.HTTPConnection:
  return http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECS)


def _headers() -> dict[str, str]:
  return {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
