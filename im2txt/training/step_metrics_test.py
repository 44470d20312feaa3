"""Tests of what a step of training tells of itself."""

from absl.testing import absltest
import tensorflow as tf

from im2txt.training import step_metrics


class StepMetricsTest(absltest.TestCase):

  def _metrics(self, **values):
    return step_metrics.StepMetrics(*[tf.constant(1.0)] * 5, **values)

  def test_measures_text(self):
    metrics = self._metrics(
        measures={
            "self_critical/reward": tf.constant(0.51234),
            "self_critical/entropy": tf.constant(2.0),
        }
    )

    self.assertEqual(
        metrics.measures_text(), ", reward = 0.5123, entropy = 2.0000"
    )

  def test_without_measures(self):
    self.assertEqual(self._metrics().measures_text(), "")


if __name__ == "__main__":
  absltest.main()
