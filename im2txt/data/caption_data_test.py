"""Tests of caption_data."""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from im2txt.data import caption_data
from im2txt.testing import tiny


class CaptionDataTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path

  def _data(self, *, are_features=False, **kwargs):
    write = tiny.write_features if are_features else tiny.write_pairs
    return caption_data.CaptionData(
        files=[write(self.dir, "records", 6, **kwargs)],
        config=tiny.CONFIG,
        are_features=are_features,
    )

  def _batches(self, data, start_step=0, count=3):
    batches = data.training_batches(
        seed=1, start_step=start_step, feature_size=tiny.FEATURE_SIZE
    )
    return list(batches.take(count).as_numpy_iterator())

  def test_images(self):
    batch = self._batches(self._data())[0]
    self.assertEqual((4, 75, 75, 3), batch.images.shape)
    self.assertAllInRange(batch.images, -1.0, 1.0)

  def test_features(self):
    batch = self._batches(self._data(are_features=True))[0]
    self.assertEqual((4, tiny.FEATURE_SIZE), batch.images.shape)

  def test_start_step_leaves_out_batches(self):
    for are_features in (False, True):
      data = self._data(are_features=are_features)
      whole, rest = self._batches(data), self._batches(data, 2, 1)
      self.assertAllEqual(whole[2].input_seqs, rest[0].input_seqs)
      self.assertAllEqual(whole[2].images, rest[0].images)

  def test_evaluation_reads_each_pair_once(self):
    data = self._data()
    batches = list(data.evaluation_batches(feature_size=tiny.FEATURE_SIZE))
    self.assertEqual([4, 2], [len(batch.images) for batch in batches])
    lengths = np.concatenate([b.input_mask.numpy().sum(1) for b in batches])
    self.assertAllEqual([len(c) - 1 for c in tiny.captions(6)], lengths)

  def test_counts_pairs(self):
    self.assertEqual(6, self._data().num_pairs)
    # Two captions of each of the six images.
    self.assertEqual(12, self._data(are_features=True).num_pairs)

  def _error_of(self, data):
    with self.assertRaises(
        (tf.errors.DataLossError, tf.errors.InvalidArgumentError)
    ) as context:
      self._batches(data, count=9)
    return context.exception

  def test_damaged_file_is_named(self):
    for are_features in (False, True):
      data = self._data(are_features=are_features)
      with open(data.files[0], "r+b") as file:
        file.seek(-30, os.SEEK_END)
        file.write(b"rubbish")
      explained = data.explain(self._error_of(data), seed=1, start_step=0)
      self.assertRegex(str(explained), f"Record 5 of {data.files[0]}")

  def test_invalid_image_is_named(self):
    data = self._data()
    example = tf.train.SequenceExample.FromString(
        next(iter(tf.data.TFRecordDataset(data.files))).numpy()
    )
    image = example.context.feature["image/data"].bytes_list
    image.value[0] = b"no image"
    with tf.io.TFRecordWriter(data.files[0]) as writer:
      writer.write(example.SerializeToString())
    explained = data.explain(self._error_of(data), seed=1, start_step=0)
    self.assertRegex(str(explained), f"Record 0 of {data.files[0]}")

  def test_features_given_as_images_are_recognized(self):
    data = self._data(are_features=True)
    data = dataclasses.replace(data, are_features=False)
    explained = data.explain(self._error_of(data), seed=1, start_step=0)
    self.assertRegex(
        str(explained), f"{data.files[0]} contains cached features"
    )
    self.assertRegex(str(explained), "Give .*--input_feature_pattern")

  def test_unknown_word_is_named(self):
    data = self._data(are_features=True, word_ids=[1, 40, 2])
    error = tf.errors.InvalidArgumentError(None, None, "indices[0] = 40 ...")
    batch = next(iter(data.evaluation_batches(feature_size=108)))
    explained = data.explain(error, batch=batch)
    self.assertRegex(str(explained), "word id 40, .* vocab_size of 12")

  def test_explained_passes_on_until_reading_fails(self):
    data = self._data(are_features=True)
    batches = data.evaluation_batches(feature_size=tiny.FEATURE_SIZE)
    lengths = [len(batch.images) for batch in data.explained(batches)]
    self.assertEqual([4, 4, 4], lengths)
    with open(data.files[0], "r+b") as file:
      file.seek(-30, os.SEEK_END)
      file.write(b"damage")
    with self.assertRaisesRegex(ValueError, f"of {data.files[0]}"):
      list(data.explained(batches))

  def test_unknown_word(self):
    data = self._data()
    self.assertIsNone(data.unknown_word(tiny.VOCAB_SIZE - 1))
    error = data.unknown_word(tiny.VOCAB_SIZE)
    self.assertRegex(str(error), f"word id {tiny.VOCAB_SIZE}, .* vocab_size")

  def test_other_errors_stay_as_they_are(self):
    data = self._data()
    error = tf.errors.InvalidArgumentError(None, None, "of the model")
    batch = next(iter(data.evaluation_batches(feature_size=108)))
    self.assertIs(error, data.explain(error, batch=batch))
    self.assertIs(error, data.explain(error))


if __name__ == "__main__":
  tf.test.main()
