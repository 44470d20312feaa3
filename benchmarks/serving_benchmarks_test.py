"""Tests that the benchmarks of serving run: few requests, a tiny model."""

import contextlib
import io
from unittest import mock

from absl.testing import flagsaver
import tensorflow as tf

from benchmarks import serving_clients
from benchmarks import serving_load
from benchmarks import serving_throughput
from benchmarks import tiny_captioning_inputs
from im2txt.testing import programs


class ServingBenchmarksTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.inputs = tiny_captioning_inputs.make(tf.compat.v1.test.get_temp_dir())

  def setUp(self):
    super().setUp()
    self.enter_context(
        mock.patch.dict("os.environ", programs.environment(), clear=True)
    )

  def _printed(self, main):
    stdout = io.StringIO()
    with contextlib.redirect_stdout(stdout):
      main(self.inputs)
    return stdout.getvalue()

  def test_load(self):
    with flagsaver.flagsaver(num_requests=60, num_clients=8):
      printed = self._printed(serving_load.main)
    for name in serving_load.kinds():
      self.assertIn(f"| {name} |", printed)
    for count in range(6, 61, 6):
      self.assertRegex(printed, rf"\n\| {count} \| \d+ \|")

  def test_throughput(self):
    with flagsaver.flagsaver(rounds=1, num_clients=2):
      printed = self._printed(serving_throughput.main)
    self.assertRegex(printed, r"\| 2 clients \| [\d.]+ \| \d+% \|")

  def test_a_server_that_does_not_start(self):
    with (
        self.assertRaisesRegex(RuntimeError, "failed to start"),
        serving_clients.serve("--checkpoint_path=/no", "--vocab_file=/no"),
    ):
      pass

  def test_percentiles(self):
    self.assertEqual(
        serving_clients.percentiles([4.0, 1.0, 3.0, 2.0], [0.0, 0.5, 0.99]),
        [1.0, 3.0, 4.0],
    )


if __name__ == "__main__":
  tf.test.main()
