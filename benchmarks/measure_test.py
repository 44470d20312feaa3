"""Tests of measure, with fake variants."""

import contextlib
import io
import time

from absl.testing import absltest

from benchmarks import measure


def _make_busy_run():
  def run():
    end = time.process_time() + 0.1
    while time.process_time() < end:
      pass
    return 2

  return run


def _make_idle_run():
  def run():
    time.sleep(0.1)
    return 2

  return run


def _make_large_run():
  held = bytes(bytearray(300 << 20))
  return lambda: len(held)


def _make_failing_run():
  raise ValueError("This is what a failing variant looks like.")


class MeasureTest(absltest.TestCase):

  def test_seconds_are_of_a_unit(self):
    busy, idle = measure.compare(
        [
            measure.Variant("busy", _make_busy_run),
            measure.Variant("idle", _make_idle_run),
        ],
        rounds=3,
        warmups=0,
    )
    self.assertEqual((busy.name, idle.name), ("busy", "idle"))
    self.assertLen(busy.rounds, 3)
    self.assertGreaterEqual(busy.minimum.cpu_secs, 0.04)
    self.assertLess(idle.minimum.cpu_secs, busy.minimum.cpu_secs)
    self.assertGreaterEqual(idle.minimum.wall_secs, 0.05)

  def test_memory_is_of_the_variant(self):
    large, idle = measure.compare(
        [
            measure.Variant("large", _make_large_run),
            measure.Variant("idle", _make_idle_run),
        ],
        rounds=1,
    )
    self.assertGreater(large.peak_mib, 300)
    self.assertLess(idle.peak_mib, 300)

  def test_failure(self):
    with self.assertRaisesRegex(RuntimeError, "'broken' failed"):
      measure.compare([measure.Variant("broken", _make_failing_run)], rounds=1)

  def test_median_and_minimum(self):
    rounds = [measure.Round(w, c) for w, c in ((3, 1), (1, 2), (2, 9))]
    result = measure.Result("any", rounds, 1.0)
    self.assertEqual(result.median, (2, 2))
    self.assertEqual(result.minimum, (1, 1))

  def test_table(self):
    results = [
        measure.Result("plain", [measure.Round(0.5, 1.0)], 100.0),
        measure.Result("ours", [measure.Round(0.25, 0.1)], 50.0),
    ]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
      measure.print_table(results, unit="step")
    self.assertEqual(
        output.getvalue().splitlines()[-2:],
        [
            "| plain | 1000.00 | 1000.00 | 500.00 | 500.00 | 2 | 1.00 | 100 |",
            "| ours | 100.00 | 100.00 | 250.00 | 250.00 | 4 | 10.00 | 50 |",
        ],
    )


if __name__ == "__main__":
  absltest.main()
