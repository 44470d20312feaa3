"""Tests of stop_signals."""

import signal

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.runtime import stop_signals


class StopSignalsTest(parameterized.TestCase):

  @parameterized.parameters((signal.SIGINT, 130), (signal.SIGTERM, 143))
  def test_signal_is_noted(self, number, status):
    with stop_signals.catch() as request:
      self.assertIsNone(request.signal)
      signal.raise_signal(number)
      self.assertEqual(number, request.signal)
    self.assertEqual(status, request.exit_status)

  def test_second_signal_is_not_caught(self):
    with self.assertRaises(KeyboardInterrupt), stop_signals.catch():
      signal.raise_signal(signal.SIGINT)
      signal.raise_signal(signal.SIGINT)

  def test_handlers_are_put_back(self):
    earlier = signal.getsignal(signal.SIGTERM)
    with stop_signals.catch() as request:
      self.assertNotEqual(earlier, signal.getsignal(signal.SIGTERM))
    self.assertEqual(earlier, signal.getsignal(signal.SIGTERM))
    self.assertEqual(0, request.exit_status)


if __name__ == "__main__":
  absltest.main()
