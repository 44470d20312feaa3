"""Tests of running the server."""

import os
import signal
import socket
import sys
import threading
from urllib import request

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.serving import server
from im2txt.testing import loopback_server
from im2txt.testing import programs


async def _hello(scope, receive, send):
  """An application that greets, and is slow to do so at `/slow`."""
  if scope["type"] == "lifespan":
    for moment in ("startup", "shutdown"):
      await receive()
      await send({"type": f"lifespan.{moment}.complete"})
    return
  await send({"type": "http.response.start", "status": 200, "headers": []})
  if scope["path"] == "/slow":
    os.kill(os.getpid(), signal.SIGTERM)
  await send({"type": "http.response.body", "body": b"hello"})


# A program whose only batch never ends; it prints its progress.
_SLOW_SERVER = """
import asyncio, threading
from im2txt.serving import server

async def application(scope, receive, send):
  if scope["type"] == "lifespan":
    for moment in ("startup", "shutdown"):
      await receive()
      await send({"type": f"lifespan.{moment}.complete"})
    return
  batch = threading.Thread(target=threading.Event().wait)
  batch.start()
  print("asked", flush=True)
  while not served.should_exit and not served._stop.signal:
    await asyncio.sleep(0.01)
  print("stopping", flush=True)
  await asyncio.to_thread(batch.join)

class ObservedServer(server._Server):
  def __init__(self, *args):
    global served
    served = self
    super().__init__(*args)

server._Server = ObservedServer
server.run(
    application,
    server.bind("127.0.0.1", 0),
    on_start=lambda url: print(url, flush=True),
    stop_secs=600,
)
"""


class ServerTest(parameterized.TestCase):

  def _run(self, path):
    """Runs a server that is stopped during a request; returns the response."""
    found = []

    def ask(url):
      def read():
        with request.urlopen(url + path, timeout=60) as answer:
          found.append(answer.read())

      self.client = threading.Thread(target=read)
      self.client.start()

    bound = server.bind("127.0.0.1", 0)
    server.run(_hello, bound, on_start=ask, stop_secs=60)
    self.client.join()
    self.assertEqual(bound.fileno(), -1)
    return found

  def test_a_signal_ends_it_after_what_has_begun(self):
    self.assertEqual(self._run("/slow"), [b"hello"])

  @parameterized.parameters(
      (signal.SIGINT, signal.SIGINT),
      (signal.SIGINT, signal.SIGTERM),
      (signal.SIGTERM, signal.SIGINT),
  )
  def test_a_second_signal_ends_it_at_once(self, first, second):
    process = programs.start(self, sys.executable, "-c", _SLOW_SERVER)
    host, port = process.stdout.readline().strip()[len("http://") :].split(":")
    with socket.create_connection((host, int(port)), timeout=300) as client:
      client.sendall(b"GET / HTTP/1.1\r\nHost: server\r\n\r\n")
      self.assertEqual(process.stdout.readline(), "asked\n")
      process.send_signal(first)
      self.assertEqual(process.stdout.readline(), "stopping\n")
      process.send_signal(second)
      _, stderr = process.communicate(timeout=300)
    self.assertEqual((process.returncode, stderr), (-second, ""))

  def test_handlers_are_put_back(self):
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    self._run("/slow")
    after = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    self.assertEqual(after, before)

  def test_url(self):
    with loopback_server.serve(_hello) as url:
      self.assertRegex(url, r"^http://127\.0\.0\.1:\d+$")
      with request.urlopen(url, timeout=60) as answer:
        self.assertEqual(answer.read(), b"hello")

  def test_port_in_use(self):
    with socket.create_server(("127.0.0.1", 0)) as taken:
      port = taken.getsockname()[1]
      with self.assertRaisesRegex(
          OSError, f"^Can't listen on 127.0.0.1, port {port}: Address already"
      ):
        server.bind("127.0.0.1", port)

  def test_no_such_host(self):
    with self.assertRaisesRegex(OSError, "Can't listen on no.invalid, port 0"):
      server.bind("no.invalid", 0)

  def test_a_version_6_address(self):
    if not socket.has_dualstack_ipv6():
      self.skipTest("There is no IPv6 here.")
    with server.bind("::1", 0) as bound:
      self.assertRegex(server._url(bound), r"^http://\[::1\]:\d+$")


if __name__ == "__main__":
  absltest.main()
