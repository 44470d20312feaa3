"""Tests of the presets."""

import dataclasses
import re

from absl.testing import absltest
from absl.testing import parameterized

from im2txt import configuration
from im2txt import presets


def _configs(name):
  return configuration.replace(
      configuration.ModelConfig(),
      configuration.TrainingConfig(),
      presets.PRESETS[name](),
  )


class PresetsTest(parameterized.TestCase):

  def test_original_is_the_default(self):
    self.assertEqual(
        (configuration.ModelConfig(), configuration.TrainingConfig()),
        _configs("original"),
    )

  def test_paper2016_changes_only_the_sampling(self):
    model, training = _configs("paper2016")
    self.assertEqual(configuration.ModelConfig(), model)
    self.assertEqual("inverse_sigmoid", training.scheduled_sampling)
    self.assertEqual("SGD", training.optimizer)

  def test_values_of_both_configurations(self):
    model, training = _configs("quickstart")
    self.assertEqual(32, model.vocab_size)
    self.assertEqual(0.25, model.inception_depth_multiplier)
    self.assertEqual(1e-5, training.train_inception_learning_rate)

  @parameterized.parameters(*presets.PRESETS)
  def test_values_are_valid(self, name):
    values = {}
    for config in _configs(name):
      values.update(dataclasses.asdict(config))
    self.assertEqual(values | presets.PRESETS[name](), values)

  @parameterized.parameters(*presets.PRESETS)
  def test_each_has_its_command(self, name):
    doc = presets.PRESETS[name].__doc__
    self.assertIn(f"bazel-bin/im2txt/train --preset={name} \\\n", doc)
    flags = set(re.findall(r"--(\w+)", doc))
    self.assertContainsSubset(
        {"input_feature_pattern", "train_dir", "number_of_steps"}, flags
    )

  def test_help(self):
    text = presets.describe()
    self.assertEqual(
        list(presets.PRESETS), re.findall(r"^  (\w+)$", text, re.MULTILINE)
    )
    self.assertIn("    bazel-bin/im2txt/train --preset=cpu_small \\\n", text)


if __name__ == "__main__":
  absltest.main()
