"""Tests of a run's timers and its speed."""

from unittest import mock

from absl.testing import absltest

from im2txt.training import training_pace


class TrainingPaceTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.now = 100.0
    self.enter_context(
        mock.patch.object(training_pace.time, "monotonic", lambda: self.now)
    )

  def test_timer_is_due_once_an_interval(self):
    timer = training_pace.Timer(10.0)
    self.assertFalse(timer.is_due())
    self.now = 110.0
    self.assertTrue(timer.is_due())
    self.assertFalse(timer.is_due())

  def test_timer_that_is_due_at_once(self):
    self.assertTrue(training_pace.Timer(10.0, due_at_once=True).is_due())

  def test_speed_and_what_is_left(self):
    pace = training_pace.Pace(step=50)
    self.now = 105.0
    with self.assertNoLogs("absl"):
      pace.log(55, 1000)
    self.now = 120.0
    with self.assertLogs("absl", "INFO") as logs:
      pace.log(60, 1000)
    # 10 steps in 20 s; 940 are left.
    self.assertIn("global_step/sec: 0.5 (0:31:20 left)", logs.output[0])
    self.assertEqual(0.5, pace.steps_per_second)


if __name__ == "__main__":
  absltest.main()
