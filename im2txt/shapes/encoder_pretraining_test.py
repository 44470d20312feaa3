"""Tests of encoder_pretraining."""

import dataclasses
import itertools
import json
import os

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt.shapes import encoder_pretraining
from im2txt.testing import tiny

_CONFIG = dataclasses.replace(tiny.CONFIG, inception_dropout_keep_prob=1.0)


class LabelsTest(parameterized.TestCase, tf.test.TestCase):

  def _write(self, text):
    path = os.path.join(self.create_tempdir().full_path, "labels.json")
    with open(path, "w", encoding="utf-8") as file:
      file.write(text)
    return path

  def test_load_labels(self):
    path = self._write(
        json.dumps(
            {
                "weights": {"red": 1.0, "dog": 2.5},
                "images": [
                    {"file_name": "a/1.jpg", "labels": ["dog"]},
                    {"file_name": "2.jpg", "labels": ["dog", "red"]},
                    {"file_name": "3.jpg", "labels": []},
                ],
            }
        )
    )
    images = encoder_pretraining.load_labels(path)
    folder = os.path.dirname(path)
    self.assertEqual(
        images.files,
        [os.path.join(folder, name) for name in ("a/1.jpg", "2.jpg", "3.jpg")],
    )
    self.assertAllEqual(images.labels, [[0, 1], [1, 1], [0, 0]])
    self.assertAllEqual(images.weights, [1, 2.5])

  @parameterized.parameters(
      "no JSON",
      "[]",
      '{"images": []}',
      '{"weights": ["a"], "images": []}',
      '{"weights": {"a": "heavy"}, "images": []}',
      '{"weights": {"a": 1}, "images": [{"file_name": "1", "labels": ["b"]}]}',
  )
  def test_other_files(self, text):
    with self.assertRaisesRegex(ValueError, "is not a JSON file of labels"):
      encoder_pretraining.load_labels(self._write(text))


class LabelTrainerTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.create_tempdir().full_path
    files = []
    for i, color in enumerate(([255, 0, 0], [0, 0, 255]) * 2):
      files.append(os.path.join(folder, f"{i}.jpg"))
      pixels = np.full([80, 80, 3], color, np.uint8)
      tf.io.write_file(files[-1], tf.io.encode_jpeg(pixels))
    self._images = encoder_pretraining.LabeledImages(
        files=files,
        labels=np.array([[1, 0], [0, 1]] * 2, np.float32),
        weights=np.array([1, 2], np.float32),
    )

  def _trainer(self, num_steps):
    return encoder_pretraining.LabelTrainer(
        _CONFIG,
        configuration.TrainingConfig(
            optimizer="adam", initial_learning_rate=0.003
        ),
        label_weights=self._images.weights,
        num_steps=num_steps,
    )

  def test_batches(self):
    batches = encoder_pretraining.training_batches(
        self._images, _CONFIG, seed=1
    )
    for images, labels in batches.take(3):
      self.assertEqual(images.shape, [4, 75, 75, 3])
      is_red = images[:, 40, 40, 0] > images[:, 40, 40, 2]
      self.assertAllEqual(labels[:, 0] == 1, is_red)
      self.assertAllEqual(labels[:, 1], 1 - labels[:, 0])

  def test_learns(self):
    trainer = self._trainer(num_steps=40)
    batches = encoder_pretraining.training_batches(
        self._images, _CONFIG, seed=1
    )
    metrics = [trainer.step(*batch) for batch in batches.take(40)]
    # Before the first step, the loss per label is about ln 2 times its weight.
    self.assertBetween(float(metrics[0].loss), 1.5, 3.0)
    # Means of ten steps, as single batches differ between processors.
    first, last = (
        np.mean(np.array(steps), axis=0)
        for steps in (metrics[:10], metrics[-10:])
    )
    self.assertLess(last[0], 0.7 * first[0])
    self.assertGreater(last[1], 0.8)

  def test_last_steps_change_little(self):
    trainer = self._trainer(num_steps=4)
    batch = next(
        iter(
            encoder_pretraining.training_batches(self._images, _CONFIG, seed=1)
        )
    )
    name = "InceptionV3/Conv2d_1a_3x3/weights"
    weights = [trainer.encoder.variables_by_name[name].numpy()]
    for _ in range(5):
      trainer.step(*batch)
      weights.append(trainer.encoder.variables_by_name[name].numpy())
    changes = [np.abs(b - a).max() for a, b in itertools.pairwise(weights)]
    # Adam's first step is as large as the rate, for any gradient.
    self.assertAllClose(changes[0], 0.003, rtol=0.01)
    self.assertLess(changes[3], 0.6 * changes[0])
    self.assertEqual(changes[4], 0)  # After the schedule's end.


if __name__ == "__main__":
  tf.test.main()
