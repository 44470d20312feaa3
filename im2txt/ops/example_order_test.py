"""Tests of example_order; the examples are mostly lines of text."""

import os

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.ops import example_order
from im2txt.ops import feature_inputs
from im2txt.ops import tfrecords
from im2txt.testing import tiny

# Each example consists of the length of its caption and a letter of its own.
_CONTENTS = ("3a 1b 2c 1d", "2e 3f 1g 2h")
_ALL = " ".join(_CONTENTS).split()


def _count(files):
  return sum(len(tf.io.gfile.GFile(file).read().split()) for file in files)


def _lengths(examples):
  return tf.strings.to_number(tf.strings.substr(examples, 0, 1), tf.int32)


class TrainingOrderTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.create_tempdir()
    self.files = [
        folder.create_file(f"{i}", content.replace(" ", "\n")).full_path
        for i, content in enumerate(_CONTENTS)
    ]

  def _examples(self, number, **kwargs):
    fields = {"batch_size": 4, "seed": 1, "shuffle_buffer_size": 8, **kwargs}
    files, order = example_order.split_files(
        self.files, example_order.TrainingOrder(**fields)
    )
    dataset = tfrecords.read_epochs(
        files,
        read_file=tf.data.TextLineDataset,
        seed=order.seed,
        start=example_order.start_of_window(order),
        epoch_size=_count(files),
        buffer_size=order.shuffle_buffer_size,
    )
    dataset = example_order.bucket_by_length(dataset, order, _lengths)
    dataset = example_order.keep_own_rows(dataset, order)
    return [e.decode() for e in dataset.take(number).as_numpy_iterator()]

  @parameterized.parameters(1, 2)
  def test_each_example_once_per_epoch(self, bucket_batches):
    examples = self._examples(24, bucket_batches=bucket_batches)
    for start in (0, 8, 16):
      self.assertCountEqual(_ALL, examples[start : start + 8])
    self.assertNotEqual(examples[:8], examples[8:16])

  def test_batches_of_like_length(self):
    examples = self._examples(8, bucket_batches=2)
    lengths = {tuple(e[0] for e in examples[i : i + 4]) for i in (0, 4)}
    # The lengths are 1 1 1 2 2 2 3 3.
    self.assertEqual({tuple("1112"), tuple("2233")}, lengths)

  def test_seed_decides(self):
    self.assertEqual(self._examples(16), self._examples(16))
    self.assertNotEqual(self._examples(16), self._examples(16, seed=2))

  @parameterized.product(start=(3, 4, 20), bucket_batches=(1, 2))
  def test_resumes_from_any_example(self, start, bucket_batches):
    whole = self._examples(24, bucket_batches=bucket_batches)
    rest = self._examples(
        24 - start, start_example=start, bucket_batches=bucket_batches
    )
    self.assertEqual(whole[start:], rest)

  @parameterized.parameters(0, 8)
  def test_processes_that_share_each_batch(self, start):
    whole = self._examples(12, start_example=start)
    first, second = (
        self._examples(
            6,
            start_example=start,
            shard=example_order.Shard(index=index, count=2, by_record=True),
        )
        for index in (0, 1)
    )
    self.assertEqual(whole[:2] + whole[4:6] + whole[8:10], first)
    self.assertEqual(whole[2:4] + whole[6:8] + whole[10:], second)

  def test_process_with_files_of_its_own(self):
    shard = example_order.Shard(index=1, count=2)
    examples = self._examples(4, shard=shard, start_example=8)
    self.assertCountEqual(_CONTENTS[1].split(), examples)

  def test_numbers_of_a_process(self):
    order = example_order.TrainingOrder(
        batch_size=8,
        seed=1,
        start_example=16,
        shard=example_order.Shard(index=1, count=2, num_devices=2),
    )
    # Rows 4 to 7 of each batch of 8; two for each of the two devices.
    self.assertEqual(2, order.device_batch_size)
    self.assertEqual(8, order.local_start)
    own = tf.range(order.local_start, order.local_start + 5, dtype=tf.int64)
    for wrap in (lambda f: f, lambda f: tf.function(f, autograph=False)):
      numbers = wrap(order.global_index)(own)
      self.assertAllEqual([20, 21, 22, 23, 28], numbers)

  def test_no_example(self):
    self.files = [self.create_tempfile().full_path]
    with self.assertRaisesRegex(ValueError, "These files hold no record: /"):
      self._examples(1)


def _own(shard, files, start):
  """Returns the examples of a process: first file and number in its order."""
  files, order = example_order.split_files(
      files,
      example_order.TrainingOrder(
          batch_size=8, seed=1, start_example=start, shard=shard
      ),
  )
  numbers = tf.data.Dataset.range(order.start_example, 1000)
  dataset = example_order.keep_own_rows(
      numbers.map(lambda n: tf.strings.format("{}:{}", (files[0], n))), order
  )
  return [e.decode() for e in dataset.take(5).as_numpy_iterator()]


class ShardTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters((0, [8, 9, 10, 11, 16]), (1, [12, 13, 14, 15, 20]))
  def test_rows_of_each_batch_with_fewer_files_than_processes(self, index, own):
    shard = example_order.Shard(index=index, count=2)
    expected = [f'"a":{number}' for number in own]
    self.assertEqual(expected, _own(shard, ["a"], 8))

  def test_rows_of_each_batch_by_record(self):
    shard = example_order.Shard(index=1, count=2, by_record=True)
    self.assertEqual('"a":4', _own(shard, ["a", "b"], 0)[0])

  def test_files_of_its_own(self):
    shard = example_order.Shard(index=1, count=2)
    # Of the sixteen rows of two batches, eight are its own.
    self.assertEqual('"b":8', _own(shard, ["a", "b", "c"], 16)[0])

  def test_one_process_has_all(self):
    self.assertEqual('"a":3', _own(example_order.WHOLE, ["a", "b"], 3)[0])

  def test_numbers_in_the_run(self):
    shard = example_order.Shard(index=1, count=2, num_devices=2)
    own = tf.range(6, dtype=tf.int64)
    order = example_order.TrainingOrder(batch_size=8, seed=1, shard=shard)
    self.assertAllEqual([4, 5, 6, 7, 12, 13], order.global_index(own))
    self.assertEqual(2, shard.device_batch_size(8))

  def test_uneven_batch(self):
    shard = example_order.Shard(count=3, num_devices=2)
    with self.assertRaisesRegex(ValueError, "a multiple of 6. Got: 8"):
      shard.local_batch_size(8)

  def test_start_within_a_batch(self):
    with self.assertRaisesRegex(ValueError, "a multiple of 8.* Got: 4"):
      _own(example_order.Shard(count=2), ["a"], 4)

  def test_batches_of_features_are_those_of_one_process(self):
    folder = self.create_tempdir().full_path
    file = tiny.write_features(folder, "features", 6)

    def batches(**shard):
      dataset = feature_inputs.training_feature_batches(
          [file],
          example_order.TrainingOrder(
              batch_size=4,
              seed=3,
              start_example=8,
              shard=example_order.Shard(**shard),
          ),
          feature_size=tiny.FEATURE_SIZE,
      )
      return dataset.as_numpy_iterator()

    whole = batches()
    # Two processes with two devices each.
    first, second = (batches(index=i, count=2, num_devices=2) for i in (0, 1))
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
    dataset = feature_inputs.training_feature_batches(
        files,
        example_order.TrainingOrder(
            batch_size=4, seed=3, shard=example_order.Shard(index=0, count=2)
        ),
        feature_size=tiny.FEATURE_SIZE,
    )
    self.assertEqual((2, 108), next(iter(dataset)).images.shape)


# Caption lengths of the examples; an epoch has twelve.
_LENGTHS = np.array([5, 2, 9, 4, 7, 3, 8, 6, 2, 9, 5, 4])


def _examples_from(start):
  numbers = tf.data.Dataset.range(start, tf.int64.max)
  lengths = tf.constant(_LENGTHS)
  return numbers.map(lambda i: (i, lengths[i % 12]))


def _numbers(count=24, num_batches=3, seed=1, start=0):
  order = example_order.TrainingOrder(
      batch_size=2, seed=seed, start_example=start, bucket_batches=num_batches
  )
  dataset = example_order.bucket_by_length(
      _examples_from(example_order.start_of_window(order)),
      order,
      lambda window: window[1],
  )
  return [int(number) for number, _ in dataset.take(count)]


class LengthBucketsTest(tf.test.TestCase):

  def test_one_batch_per_window_changes_nothing(self):
    self.assertEqual([3, 4, 5], _numbers(3, num_batches=1, start=3))

  def test_hand_worked_window(self):
    # Lengths 5 2 9 4 7 3 make the batches (2, 3), (4, 5) and (7, 9).
    numbers = _numbers(6)
    batches = {tuple(numbers[i : i + 2]) for i in (0, 2, 4)}
    self.assertEqual({(1, 5), (3, 0), (4, 2)}, batches)

  def test_each_example_once_per_epoch(self):
    numbers = _numbers()
    self.assertCountEqual(range(12), numbers[:12])
    self.assertCountEqual(range(12, 24), numbers[12:])

  def test_order_follows_the_seed(self):
    self.assertEqual(_numbers(), _numbers())
    self.assertNotEqual(_numbers(), _numbers(seed=2))

  def test_resumes_anywhere(self):
    for start in (2, 6, 8, 20):
      self.assertEqual(_numbers()[start:], _numbers(24 - start, start=start))


if __name__ == "__main__":
  tf.test.main()
