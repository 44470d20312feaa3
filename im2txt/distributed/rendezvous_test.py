"""Tests of the barrier of processes, with threads in their place."""

from concurrent import futures
import socket

from absl.testing import absltest

from im2txt.distributed import clusters
from im2txt.distributed import rendezvous
from im2txt.testing import programs


class RendezvousTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.addresses = [f"localhost:{port}" for port in programs.free_ports(3)]

  def _run(self, settings, timeout_secs=60):
    """Returns the error of each process; None for those that continue."""
    with futures.ThreadPoolExecutor(len(settings)) as pool:
      results = [
          pool.submit(
              rendezvous.barrier,
              clusters.Cluster(
                  addresses={"worker": self.addresses},
                  task_type="worker",
                  task_index=index,
              ),
              values,
              timeout_secs=timeout_secs,
          )
          for index, values in enumerate(settings)
      ]
      return [result.exception() for result in results]

  def test_all_continue_with_equal_settings(self):
    settings = {"batch_size": 4, "rate": 0.1, "checkpoint": None}
    self.assertEqual([None] * 3, self._run([settings] * 3))
    # The ports are free again.
    for address in self.addresses:
      self.assertFalse(rendezvous.is_listening(address))

  def test_one_has_another_setting(self):
    errors = self._run([{"batch_size": n} for n in (4, 4, 8)], 10)
    expected = (
        "All processes must have the same settings, but worker 2 has"
        " batch_size=8 and worker 0 has 4."
    )
    self.assertEqual(expected, str(errors[0]))
    self.assertEqual(expected, str(errors[2]))

  def test_one_is_missing(self):
    for error in self._run([{}, {}], 4):
      self.assertEqual("worker 0 timed out waiting for worker 2.", str(error))

  def test_the_chief_is_missing(self):
    cluster = clusters.Cluster(
        addresses={"worker": self.addresses}, task_type="worker", task_index=1
    )
    with self.assertRaisesRegex(
        rendezvous.RendezvousError, "worker 1 timed out .* for worker 0 at "
    ):
      rendezvous.barrier(cluster, {}, timeout_secs=1)

  def test_other_programs_are_ignored(self):
    with futures.ThreadPoolExecutor(1) as pool:
      ran = pool.submit(self._run, [{}, {}, {}])
      for message in (
          b"GET / HTTP/1.1\r\n\r\n",
          b'"worker 1"\n',
          b'{"task": [1], "settings": {}}\n',
          b'{"task": "worker 1", "settings": null}\n',
          b'{"task": "worker 1"}\n',
          b"",
      ):
        try:
          host, port = self.addresses[0].split(":")
          with socket.create_connection((host, int(port)), 5) as client:
            client.sendall(message)
        except ConnectionError:
          pass
      self.assertEqual([None] * 3, ran.result())

  def test_waits_for_servers(self):
    with socket.create_server(("", int(self.addresses[0].split(":")[1]))):
      rendezvous.wait_for_servers(self.addresses[:1], timeout_secs=1)
    with self.assertRaisesRegex(
        rendezvous.RendezvousError, f"Timed out .* at {self.addresses[0]}"
    ):
      rendezvous.wait_for_servers(self.addresses[:1], timeout_secs=1)

  def test_wrong_address(self):
    with self.assertRaisesRegex(ValueError, "host:port. Got: 'host'"):
      rendezvous.wait_for_servers(["host"], timeout_secs=1)

  def test_wrong_address_of_the_chief(self):
    cluster = clusters.Cluster(
        addresses={"worker": ["host", "other:1"]},
        task_type="worker",
        task_index=1,
    )
    with self.assertRaisesRegex(ValueError, "host:port. Got: 'host'"):
      rendezvous.barrier(cluster, {}, timeout_secs=600)

  def test_another_server_at_the_address_of_the_chief(self):
    cluster = clusters.Cluster(
        addresses={"worker": self.addresses}, task_type="worker", task_index=1
    )

    def serve(server):
      for reply in (b"[1]\n", b"{}\n", b'{"error": "At last."}\n'):
        peer, _ = server.accept()
        with peer:
          peer.recv(1 << 16)
          peer.sendall(reply)

    port = int(self.addresses[0].split(":")[1])
    with (
        socket.create_server(("", port)) as server,
        futures.ThreadPoolExecutor(1) as pool,
    ):
      pool.submit(serve, server)
      with self.assertRaisesRegex(rendezvous.RendezvousError, "At last."):
        rendezvous.barrier(cluster, {}, timeout_secs=60)


if __name__ == "__main__":
  absltest.main()
