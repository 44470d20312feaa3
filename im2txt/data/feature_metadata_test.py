"""Tests of feature_metadata."""

import dataclasses
import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt import configuration
from im2txt.data import feature_metadata

_CONFIG = configuration.ModelConfig()


class FakeEncoder:
  """Weights without a network."""

  def __init__(self, weight=1.0):
    self.variables_by_name = {"weight": tf.Variable(weight)}


class FeatureMetadataTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self._dir = self.create_tempdir().full_path

  def _files(self, prefix):
    return [
        os.path.join(self._dir, f"{prefix}-0000{i}-of-00002") for i in (0, 1)
    ]

  def _write(self, prefix, encoder):
    self._begin(prefix, encoder)
    feature_metadata.end_set(self._dir, prefix)

  def _begin(self, prefix, encoder, images=3):
    return feature_metadata.begin_set(
        self._dir, prefix, encoder, _CONFIG, {"images": images}
    )

  def test_accepts_the_same_encoder(self):
    self._write("train", FakeEncoder())
    self._write("val", FakeEncoder())
    feature_metadata.check_encoder(
        self._files("train") + self._files("val"), FakeEncoder(), _CONFIG
    )

  def test_refuses_other_weights(self):
    self._write("train", FakeEncoder())
    with self.assertRaisesRegex(ValueError, "an encoder with other weights"):
      feature_metadata.check_encoder(
          self._files("train"), FakeEncoder(2.0), _CONFIG
      )

  def test_refuses_another_preprocessing(self):
    self._write("train", FakeEncoder())
    config = dataclasses.replace(_CONFIG, resize_width=400)
    with self.assertRaisesRegex(
        ValueError, "made with resize_width=346, but the model has .*=400"
    ):
      feature_metadata.check_encoder(
          self._files("train"), FakeEncoder(), config
      )

  def test_refuses_files_it_does_not_know(self):
    for prefix in ("train", "val"):
      with self.assertRaisesRegex(ValueError, f"says nothing of '{prefix}'"):
        feature_metadata.check_encoder(
            self._files(prefix), FakeEncoder(), _CONFIG
        )
      self._write("train", FakeEncoder())

  def test_refuses_files_that_are_being_replaced(self):
    self._write("train", FakeEncoder())
    self._write("val", FakeEncoder())
    self._begin("train", FakeEncoder())
    feature_metadata.check_encoder(self._files("val"), FakeEncoder(), _CONFIG)
    with self.assertRaisesRegex(ValueError, "says nothing of 'train'"):
      feature_metadata.check_encoder(
          self._files("train"), FakeEncoder(), _CONFIG
      )

  def test_goes_on_with_the_very_same_set_only(self):
    encoder = FakeEncoder()
    self.assertFalse(self._begin("train", encoder))
    self._write("val", encoder)
    self.assertTrue(self._begin("train", encoder))
    self.assertFalse(self._begin("train", encoder, images=4))
    self.assertTrue(self._begin("train", encoder, images=4))
    feature_metadata.end_set(self._dir, "train")
    self.assertFalse(self._begin("train", encoder, images=4))

  def test_does_not_go_on_with_another_encoder(self):
    for weight in (1.0, 2.0, 1.0):
      self.assertFalse(self._begin("train", FakeEncoder(weight)))

  def test_a_set_alone_may_change_its_encoder(self):
    self._write("train", FakeEncoder())
    self._write("train", FakeEncoder(2.0))
    feature_metadata.check_encoder(
        self._files("train"), FakeEncoder(2.0), _CONFIG
    )
    with self.assertRaisesRegex(ValueError, r"another encoder \(train\)"):
      self._write("val", FakeEncoder())

  def test_names_what_is_damaged(self):
    path = os.path.join(self._dir, feature_metadata.FILE_NAME)
    with open(path, "wb") as file:
      file.write(bytes(9))
    with self.assertRaisesRegex(ValueError, f"^{path} is damaged. Delete it,"):
      self._begin("train", FakeEncoder())


if __name__ == "__main__":
  tf.test.main()
