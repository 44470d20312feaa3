"""Tests of the parts of a batch that processes make."""

import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt.ops import cached_features
from im2txt.ops import shards
from im2txt.ops import training_order
from im2txt.testing import tiny


def _elements(files, batch_size, start):
  """Elements that tell what was asked for."""
  del batch_size
  numbers = tf.data.Dataset.range(start, 1000)
  return numbers.map(lambda n: tf.strings.format("{}:{}", (files[0], n)))


def _own(shard, files, start):
  dataset = shard.own_elements(files, _elements, batch_size=8, start=start)
  return [e.decode() for e in dataset.take(5).as_numpy_iterator()]


class ShardTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters((0, [8, 9, 10, 11, 16]), (1, [12, 13, 14, 15, 20]))
  def test_rows_of_each_batch_with_fewer_files_than_processes(self, index, own):
    shard = shards.Shard(index=index, count=2)
    expected = [f'"a":{number}' for number in own]
    self.assertEqual(expected, _own(shard, ["a"], 8))

  def test_rows_of_each_batch_if_so_wished(self):
    shard = shards.Shard(index=1, count=2, by_record=True)
    self.assertEqual('"a":4', _own(shard, ["a", "b"], 0)[0])

  def test_files_of_its_own(self):
    shard = shards.Shard(index=1, count=2)
    # In two batches it made eight of sixteen rows.
    self.assertEqual('"b":8', _own(shard, ["a", "b", "c"], 16)[0])

  def test_one_process_has_all(self):
    self.assertEqual('"a":3', _own(shards.WHOLE, ["a", "b"], 3)[0])

  def test_numbers_in_the_run(self):
    shard = shards.Shard(index=1, count=2, num_parts=2)
    own = tf.range(6, dtype=tf.int64)
    self.assertAllEqual([4, 5, 6, 7, 12, 13], shard.row_of_run(own, 8))
    self.assertEqual(2, shard.part_size(8))

  def test_uneven_batch(self):
    shard = shards.Shard(count=3, num_parts=2)
    with self.assertRaisesRegex(ValueError, "a multiple of 6. Got: 8"):
      shard.rows(8)

  def test_batch_that_is_begun(self):
    with self.assertRaisesRegex(ValueError, "a multiple of 8.* Got: 4"):
      _own(shards.Shard(count=2), ["a"], 4)

  def test_batches_of_features_are_those_of_one_process(self):
    folder = self.create_tempdir().full_path
    file = tiny.write_features(folder, "features", 6)

    def batches(**shard):
      dataset = cached_features.training_feature_batches(
          [file],
          training_order.TrainingOrder(
              batch_size=4,
              seed=3,
              start_example=8,
              shard=shards.Shard(**shard),
          ),
          feature_size=tiny.FEATURE_SIZE,
      )
      return dataset.as_numpy_iterator()

    whole = batches()
    # A process with two devices, and one with another two.
    first, second = (batches(index=i, count=2, num_parts=2) for i in (0, 1))
    for _ in range(4):
      expected = next(whole)
      parts = [next(first), next(first), next(second), next(second)]
      self.assertAllEqual(
          expected.images, tf.concat([part.images for part in parts], 0)
      )
      for row, part in enumerate(parts):
        length = part.input_mask.sum()
        self.assertAllEqual(
            expected.target_seqs[row][:length], part.target_seqs[0][:length]
        )

  def test_two_processes_share_the_files(self):
    folder = self.create_tempdir().full_path
    files = [tiny.write_features(folder, f"features-{i}", 4) for i in (0, 1)]
    os.remove(files[1])  # Only the other process needs it.
    dataset = cached_features.training_feature_batches(
        files,
        training_order.TrainingOrder(
            batch_size=4, seed=3, shard=shards.Shard(index=0, count=2)
        ),
        feature_size=tiny.FEATURE_SIZE,
    )
    self.assertEqual((2, 108), next(iter(dataset)).images.shape)


if __name__ == "__main__":
  tf.test.main()
