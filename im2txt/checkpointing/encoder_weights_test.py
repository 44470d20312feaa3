"""Tests of the encoder's start."""

import os
from unittest import mock

import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import encoders
from im2txt.checkpointing import encoder_weights
from im2txt.checkpointing import keras_weights
from im2txt.testing import old_checkpoints
from im2txt.testing import tiny

_DECODER = {
    "seq_embedding/map": np.zeros([9, 5], np.float32),
    "lstm/BasicLSTMCell/Linear/Matrix": np.zeros([12, 28], np.float32),
}
_CLASSIFIERS = {
    "InceptionV3/AuxLogits/Conv2d_1b_1x1/weights": np.ones([1, 1, 2, 3]),
    "InceptionV3/AuxLogits/Conv2d_1b_1x1/BatchNorm/beta": np.ones([3]),
    "InceptionV3/Logits/Conv2d_1c_1x1/weights": np.ones([1, 1, 2, 3]),
    "InceptionV3/Logits/Conv2d_1c_1x1/biases": np.ones([3]),
    "global_step": np.int64(7),
}


class EncoderWeightsTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.encoder = encoders.make_encoder(tiny.CONFIG)
    rng = np.random.default_rng(1)
    cls.values = {
        name: rng.uniform(0.5, 1.5, variable.shape).astype(np.float32)
        for name, variable in cls.encoder.variables_by_name.items()
    }

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    for variable in self.encoder.variables_by_name.values():
      variable.assign(tf.zeros(variable.shape))

  def _assert_restored(self, source):
    with self.assertLogs("absl", "INFO") as logs:
      encoder_weights.restore(self.encoder, source)
    for name, variable in self.encoder.variables_by_name.items():
      self.assertAllEqual(self.values[name], variable, msg=name)
    return "\n".join(logs.output)

  def test_the_one_file_of_2016(self):
    path = old_checkpoints.write(
        self.dir,
        {**self.values, **_CLASSIFIERS},
        version=1,
        name="inception_v3.ckpt",
    )
    self.assertTrue(os.path.isfile(path))
    log = self._assert_restored(path)
    self.assertIn("Restoring Inception variables from checkpoint file", log)
    self.assertNotIn("im2txt model", log)

  def test_todays_format(self):
    path = old_checkpoints.write(
        self.dir, {**self.values, **_CLASSIFIERS}, version=2
    )
    self._assert_restored(path)
    self.assertEqual(
        encoder_weights.load_config(path)[0], configuration.ModelConfig()
    )

  def test_model_of_im2txt(self):
    old_checkpoints.write(
        self.dir, {**self.values, **_DECODER}, version=1, step=3
    )
    log = self._assert_restored(self.dir)
    self.assertRegex(log, "model.ckpt-3 is of an im2txt model: only its enc")
    self.assertEqual(encoder_weights.load_config(self.dir)[0].vocab_size, 9)

  def test_other_checkpoint(self):
    path = old_checkpoints.write(self.dir, {"x": np.zeros(1)}, version=2)
    with self.assertRaisesRegex(ValueError, "lacks 376 variables"):
      encoder_weights.restore(self.encoder, path)

  def test_keras_in_order(self):
    arrays = list(self.values.values())
    for source, reader in (("keras", "fetch"), ("x/y.h5", "read")):
      with mock.patch.object(keras_weights, reader, return_value=arrays):
        self._assert_restored(source)
      self.assertEqual(
          encoder_weights.load_config(source)[0], configuration.ModelConfig()
      )

  def test_keras_of_another_width(self):
    arrays = [np.zeros([3, 3, 3, 32])] + list(self.values.values())[1:]
    with (
        mock.patch.object(keras_weights, "fetch", return_value=arrays),
        self.assertRaisesRegex(ValueError, r"3, 32\], .* it \[3, 3, 3, 16\]"),
    ):
      encoder_weights.restore(self.encoder, "keras")


if __name__ == "__main__":
  tf.test.main()
