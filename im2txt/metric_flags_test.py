"""Tests of metric_flags: what is wrong is found before anything is scored."""

import sys

from absl import flags
from absl.testing import absltest
from absl.testing import flagsaver

from im2txt import metric_flags
from im2txt.evaluation import coco_metrics
from im2txt.testing import fake_java


class MetricFlagsTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    fake_java.install(self, None)
    if not flags.FLAGS.is_parsed():
      flags.FLAGS(sys.argv[:1])

  def test_the_defaults_need_no_java(self):
    metric_flags.check()
    self.assertEqual(
        ["Bleu", "METEOR", "ROUGE_L", "CIDEr"], metric_flags.METRICS.value
    )

  def test_finds_what_is_wrong(self):
    with (
        flagsaver.flagsaver(metrics=["CIDEr", "cider"]),
        self.assertRaisesRegex(ValueError, "METEOR, .* Got: cider"),
    ):
      metric_flags.check()
    with (
        flagsaver.flagsaver(tokenizer="ptb"),
        self.assertRaisesRegex(coco_metrics.JavaError, "Java is not on"),
    ):
      metric_flags.check()


if __name__ == "__main__":
  absltest.main()
