"""Tests of the program pretrain_encoder, by a few steps of a tiny encoder."""

import json
import os
from unittest import mock

from absl.testing import parameterized
import tensorflow as tf

from im2txt import networks
from im2txt import pretrain_encoder
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import encoder_weights
from im2txt.shapes import encoder_pretraining
from im2txt.testing import programs
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning


class PretrainEncoderTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.labels = os.path.join(self.dir, "labels.json")
    self.output_dir = os.path.join(self.dir, "encoder")
    names = ["1.jpg", "2.jpg", "3.jpg"]
    for seed, name in enumerate(names):
      with open(os.path.join(self.dir, name), "wb") as file:
        file.write(tiny_captioning.jpeg(seed))
    self._write_labels([{"file_name": n, "labels": ["red"]} for n in names])

  def _write_labels(self, images):
    with open(self.labels, "w", encoding="utf-8") as file:
      json.dump({"weights": {"red": 1.0, "blue": 0.5}, "images": images}, file)

  def _run(self, overrides=tiny.OVERRIDES):
    return programs.run_here(
        pretrain_encoder,
        labels_file=self.labels,
        output_dir=self.output_dir,
        number_of_steps=2,
        config_overrides=overrides,
    )

  def test_the_checkpoint_is_an_encoders_start(self):
    ran = self._run(f"{tiny.OVERRIDES},optimizer=SGD")
    path = os.path.join(self.output_dir, "model.ckpt-2")
    self.assertIsNone(ran.returncode)
    self.assertEqual(f"Wrote the encoder to {path}.\n", ran.stdout)
    self.assertEqual(path, checkpoint_paths.find(self.output_dir))
    config, training_config = encoder_weights.load_config(path)
    self.assertEqual(0.05, config.inception_depth_multiplier)
    self.assertEqual("SGD", training_config.optimizer)
    self.assertEqual(0.003, training_config.initial_learning_rate)
    encoder = networks.make_encoder(config, seed=99)
    encoder_weights.restore(encoder, path)
    name = "InceptionV3/Conv2d_1a_3x3/weights"
    self.assertAllEqual(
        tf.train.load_checkpoint(path).get_tensor(name),
        encoder.variables_by_name[name],
    )

  @mock.patch.object(encoder_pretraining, "LabelTrainer", mock.Mock())
  def test_missing_image(self):
    self._write_labels([{"file_name": "none.jpg", "labels": []}])
    with self.assertRaisesRegex(tf.errors.NotFoundError, "none.jpg"):
      self._run()
    self.assertFalse(os.path.exists(self.output_dir))

  def test_no_images(self):
    self._write_labels([])
    with self.assertRaisesRegex(ValueError, "labels.json has no images"):
      self._run()


class FlagsTest(parameterized.TestCase):

  def test_help(self):
    ran = programs.run("pretrain_encoder", "--help")
    self.assertEqual(0, ran.returncode)
    self.assertIn('"labels": ["dog"]', ran.stdout)
    self.assertIn("--number_of_steps: Number of training steps.", ran.stdout)

  @parameterized.parameters(
      (["--output_dir=x"], "--labels_file is required."),
      (["--labels_file=x"], "--output_dir is required."),
      (["--number_of_steps=0"], "flag --number_of_steps=0: "),
  )
  def test_wrong_flags(self, arguments, message):
    ran = programs.run("pretrain_encoder", *arguments)
    self.assertEqual(2, ran.returncode)
    self.assertStartsWith(ran.stderr, f"pretrain_encoder: {message}")


if __name__ == "__main__":
  tf.test.main()
