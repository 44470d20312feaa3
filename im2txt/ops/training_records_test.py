"""Tests of the order of the records of image-caption pairs in training."""

import os

import tensorflow as tf

from im2txt.ops import shards
from im2txt.ops import training_order
from im2txt.ops import training_records
from im2txt.testing import tiny


def _write(path, lengths, feature):
  """A file of records, each with a caption of a length."""
  with tf.io.TFRecordWriter(path) as writer:
    for length in lengths:
      example = tf.train.SequenceExample()
      feature_list = example.feature_lists.feature_list[feature]
      for word_id in range(length):
        feature_list.feature.add().int64_list.value.append(word_id)
      writer.write(example.SerializeToString())


class TrainingRecordsTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path

  def _take(self, number, files, caption_feature="image/caption_ids", **fields):
    dataset = training_records.training_records(
        files,
        training_order.TrainingOrder(**{"batch_size": 2, "seed": 4, **fields}),
        caption_feature=caption_feature,
    )
    return list(dataset.take(number).as_numpy_iterator())

  def test_records_say_where_they_come_from(self):
    files = [tiny.write_pairs(self.dir, f"pairs-{i}", 2 + i) for i in (0, 1)]
    contents = {
        file.encode(): list(tf.data.TFRecordDataset(file).as_numpy_iterator())
        for file in files
    }
    for bucket_batches in (1, 3):
      taken = self._take(12, files, bucket_batches=bucket_batches)
      for record in taken:
        self.assertEqual(
            contents[record.file][record.number], record.serialized
        )
    first_epoch = self._take(5, files)
    self.assertCountEqual(
        [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)],
        [(files.index(r.file.decode()), int(r.number)) for r in first_epoch],
    )

  def test_sorts_by_the_named_captions(self):
    path = os.path.join(self.dir, "lengths")
    _write(path, [4, 2, 5, 3], "words")
    taken = self._take(4, [path], "words", bucket_batches=2)
    numbers = [int(record.number) for record in taken]
    # Of lengths 4, 2, 5 and 3 the batches are (2, 3) and (4, 5).
    self.assertIn(numbers, ([1, 3, 0, 2], [0, 2, 1, 3]))

  def test_a_process_reads_its_own_files_from_its_own_start(self):
    files = [tiny.write_pairs(self.dir, f"pairs-{i}", 3) for i in (0, 1)]
    shard = shards.Shard(index=1, count=2)
    whole = self._take(6, files, shard=shard)
    self.assertEqual({files[1].encode()}, {record.file for record in whole})
    # Of the first four rows of the run it made two.
    rest = self._take(4, files, shard=shard, start_example=4)
    self.assertEqual(whole[2:], rest)


if __name__ == "__main__":
  tf.test.main()
