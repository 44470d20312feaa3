"""Tests of batches of distinct images, from pairs and cached features."""

import os

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.ops import feature_inputs
from im2txt.ops import image_inputs
from im2txt.testing import tiny


def _fake_preprocess(encoded_image, *, is_training, thread_id, seed):
  """Returns an "image" that consists of the arguments."""
  del is_training
  values = [tf.strings.length(encoded_image), thread_id, seed[0], seed[1]]
  return tf.stack([tf.cast(value, tf.float32) for value in values])


class ImageBatchesTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path

  def _order(self, files, is_first, **kwargs):
    fields = {"batch_size": 2, "seed": 7, **kwargs}
    return image_inputs.Order(files, is_first, **fields)

  def _pairs(self, **kwargs):
    """Returns batches of two files: images 0 0 1 1 2 2 and 0 0 3 3."""
    second = tiny.write_pairs(self.dir, "pairs-1", 8, 2)
    serialized = list(tf.data.TFRecordDataset(second).as_numpy_iterator())
    with tf.io.TFRecordWriter(second) as writer:
      for record in serialized[:2] + serialized[6:]:
        writer.write(record)
    files = [tiny.write_pairs(self.dir, "pairs-0", 6, 2), second]
    is_first = [True, False] * 3 + [False] * 2 + [True, False]
    return image_inputs.training_image_batches(
        self._order(files, is_first, **kwargs),
        preprocess=_fake_preprocess,
        num_preprocess_threads=2,
    )

  def _features(self, num_views=1, **kwargs):
    """Returns batches of features: i + 100 * v for view v of image i."""
    path = os.path.join(self.dir, "features")
    with tf.io.TFRecordWriter(path) as writer:
      for i in range(4):
        views = i + 100 * np.arange(num_views, dtype=np.float32)[:, np.newaxis]
        writer.write(
            feature_inputs.serialize_feature_example(i, views, [[1, 3, 2]])
        )
    return image_inputs.training_feature_batches(
        self._order([path], [True] * 4, **kwargs), feature_size=1
    )

  def _take(self, dataset, count):
    batches = list(dataset.take(count).as_numpy_iterator())
    return [np.concatenate(column) for column in zip(*batches, strict=True)]

  @parameterized.parameters("_pairs", "_features")
  def test_each_image_once_per_epoch(self, make):
    _, ids = self._take(getattr(self, make)(), 20)
    epochs = ids.reshape([10, 4])
    self.assertAllEqual(np.tile(np.arange(4), [10, 1]), np.sort(epochs))
    self.assertGreater(len(set(map(tuple, epochs))), 3)

  @parameterized.parameters("_pairs", "_features")
  def test_resumes_with_the_same_batches(self, make):
    whole = self._take(getattr(self, make)(), 9)
    rest = self._take(getattr(self, make)(start_step=5), 4)
    for expected, actual in zip(whole, rest, strict=True):
      self.assertAllEqual(expected[10:], actual)

  @parameterized.parameters("_pairs", "_features")
  def test_seed_decides(self, make):
    ids = [
        self._take(getattr(self, make)(seed=seed), 9)[1].tolist()
        for seed in (1, 1, 2)
    ]
    self.assertEqual(ids[0], ids[1])
    self.assertNotEqual(ids[0], ids[2])

  def test_batches_may_span_epochs(self):
    _, ids = self._take(self._features(batch_size=3), 4)
    self.assertAllEqual([3] * 4, np.bincount(ids))

  def test_features_belong_to_the_ids(self):
    features, ids = self._take(self._features(), 5)
    self.assertAllEqual(ids[:, np.newaxis], features)

  def test_views_are_drawn(self):
    features, ids = self._take(self._features(num_views=3), 60)
    self.assertAllEqual(ids, features[:, 0] % 100)
    counts = np.bincount((features[:, 0] // 100).astype(int))
    self.assertAllInRange(counts, 25, 55)

  def test_images_are_distorted_by_their_number(self):
    images, ids = self._take(self._pairs(start_step=1), 3)
    self.assertLen(set(zip(ids, images[:, 0], strict=True)), 4)
    self.assertAllEqual(np.arange(2, 8) % 2, images[:, 1])
    self.assertAllEqual([7] * 6, images[:, 2])
    self.assertAllEqual(np.arange(2, 8), images[:, 3])

  def test_other_number_of_features(self):
    order = self._order([tiny.write_features(self.dir, "other", 1)], [True])
    with self.assertRaisesRegex(ValueError, "have 108 features, but the model"):
      image_inputs.training_feature_batches(order, feature_size=1)


if __name__ == "__main__":
  tf.test.main()
