"""Tests of the configuration of runs, new ones and those that go on."""

import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import saved_config
from im2txt.training import run_configuration


class RunConfigurationTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = os.path.join(self.create_tempdir().full_path, "train")

  def _begin(self, **arguments):
    configs = run_configuration.load(self.dir, **arguments)
    os.makedirs(self.dir, exist_ok=True)
    saved_config.save(self.dir, *configs)
    return configs

  def test_default(self):
    self.assertEqual(
        (configuration.ModelConfig(), configuration.TrainingConfig()),
        run_configuration.load(self.dir),
    )

  @parameterized.named_parameters(
      ("default", "", "", (9, 30)),
      ("other_overrides", "", "batch_size=7", (9, 30)),
      ("own_size", "", "vocab_size=11", (11, 30)),
      ("own_number", "", "seed=1, num_examples_per_epoch=5", (9, 5)),
      ("preset", "cpu_small", "", (9, 30)),
      ("preset_with_a_size", "quickstart", "", (32, 30)),
  )
  def test_new_run_takes_fields_of_the_data_set(self, preset, given, expected):
    fields = {"vocab_size": 9, "num_examples_per_epoch": 30}
    arguments = {"preset": preset, "overrides": given, "data_fields": fields}
    with self.assertLogs("absl", "INFO") as logs:
      model, training = self._begin(**arguments)
    self.assertIn("The data set says:", logs.output[0])
    self.assertEqual(
        expected, (model.vocab_size, training.num_examples_per_epoch)
    )
    # A run that resumes has its own.
    arguments["data_fields"] = {"vocab_size": 8, "num_examples_per_epoch": 3}
    self.assertEqual(
        (model, training), run_configuration.load(self.dir, **arguments)
    )

  def test_overrides_go_above_the_preset(self):
    model, training = self._begin(
        preset="cpu_small", overrides="batch_size=7,seed=3"
    )
    self.assertEqual((7, 256), (model.batch_size, model.num_lstm_units))
    self.assertEqual(("adam", 3), (training.optimizer, training.seed))

  @parameterized.named_parameters(
      ("the_same", "cpu_small", "batch_size=7"),
      ("without_preset", "", ""),
      ("with_another_rate", "cpu_small", "batch_size=7,seed=4"),
  )
  def test_goes_on_with(self, preset, overrides):
    self._begin(preset="cpu_small", overrides="batch_size=7")
    model, training = run_configuration.load(
        self.dir, preset=preset, overrides=overrides
    )
    self.assertEqual((7, 256), (model.batch_size, model.num_lstm_units))
    self.assertEqual("adam", training.optimizer)

  @parameterized.named_parameters(
      ("other", "quickstart", "", "vocab_size=12000, not 32; "),
      ("overridden", "cpu_small", "", "with batch_size=7, not 64 as of"),
  )
  def test_contradicts(self, preset, overrides, message):
    self._begin(preset="cpu_small", overrides="batch_size=7")
    with self.assertRaisesRegex(ValueError, message):
      run_configuration.load(self.dir, preset=preset, overrides=overrides)

  def test_folder_that_has_only_a_checkpoint_is_not_new(self):
    os.makedirs(self.dir)
    tf.raw_ops.SaveV2(
        prefix=os.path.join(self.dir, "model.ckpt-5"),
        tensor_names=["global_step"],
        shape_and_slices=[""],
        tensors=[tf.constant(5)],
    )
    with self.assertRaisesRegex(ValueError, "was begun with"):
      run_configuration.load(self.dir, preset="cpu_small")


if __name__ == "__main__":
  tf.test.main()
