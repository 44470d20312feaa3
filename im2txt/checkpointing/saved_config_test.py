"""Tests of saved_config."""

import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import saved_config


class SavedConfigTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path

  def _path(self, name):
    return os.path.join(self.dir, name)

  def test_round_trip_from_folder_and_checkpoint(self):
    configs = (
        configuration.ModelConfig(vocab_size=9),
        configuration.TrainingConfig(optimizer="adam"),
    )
    saved_config.save(self.dir, *configs)
    self.assertEqual(configs, saved_config.load(self.dir))
    self.assertEqual(configs, saved_config.load(self._path("model.ckpt-1")))

  def test_overrides(self):
    saved_config.save(
        self.dir,
        configuration.ModelConfig(vocab_size=9, embedding_size=5),
        configuration.TrainingConfig(optimizer="adam"),
    )
    self.assertEqual(
        saved_config.load(self.dir, "embedding_size=7,optimizer=sgd"),
        (
            configuration.ModelConfig(vocab_size=9, embedding_size=7),
            configuration.TrainingConfig(optimizer="sgd"),
        ),
    )

  def test_defaults_without_a_file(self):
    self.assertEqual(
        (configuration.ModelConfig(), configuration.TrainingConfig()),
        saved_config.load(self.dir),
    )

  @parameterized.parameters(
      "lstm/basic_lstm_cell/kernel", "lstm/BasicLSTMCell/Linear/Matrix"
  )
  def test_sizes_from_the_checkpoint_without_a_file(self, kernel):
    path = self._path("model.ckpt-3")
    tf.raw_ops.SaveV2(
        prefix=path,
        tensor_names=["seq_embedding/map", kernel],
        shape_and_slices=["", ""],
        tensors=[tf.zeros([9, 5]), tf.zeros([12, 28])],
    )
    tf.compat.v1.train.update_checkpoint_state(self.dir, path)
    expected = configuration.ModelConfig(
        vocab_size=9, embedding_size=5, num_lstm_units=7
    )
    for each in (path, self.dir):
      self.assertEqual(expected, saved_config.load(each)[0])

  def test_corrupt_checkpoint_without_a_file(self):
    path = self.create_tempfile("model.ckpt", "damaged").full_path
    with self.assertRaisesRegex(
        ValueError, "model.ckpt is not a file of a check"
    ):
      saved_config.load(path)

  def test_error_names_the_file(self):
    with open(self._path("config.json"), "w") as file:
      file.write("{")
    with self.assertRaisesRegex(ValueError, "config.json is not a valid conf"):
      saved_config.load(self.dir)


if __name__ == "__main__":
  tf.test.main()
