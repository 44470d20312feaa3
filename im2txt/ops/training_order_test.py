"""Tests of the order of training's examples, which here are lines of text."""

from absl.testing import parameterized
import tensorflow as tf

from im2txt.ops import shards
from im2txt.ops import training_order

# Each example is its caption's length and a letter of its own.
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
    dataset = training_order.TrainingOrder(**fields).examples(
        self.files,
        read=tf.data.TextLineDataset,
        count=_count,
        lengths=_lengths,
    )
    return [e.decode() for e in dataset.take(number).as_numpy_iterator()]

  @parameterized.parameters(1, 2)
  def test_each_once_an_epoch(self, bucket_batches):
    examples = self._examples(24, bucket_batches=bucket_batches)
    for start in (0, 8, 16):
      self.assertCountEqual(_ALL, examples[start : start + 8])
    self.assertNotEqual(examples[:8], examples[8:16])

  def test_batches_of_like_length(self):
    examples = self._examples(8, bucket_batches=2)
    lengths = {tuple(e[0] for e in examples[i : i + 4]) for i in (0, 4)}
    # Of the lengths 1 1 1 2 2 2 3 3.
    self.assertEqual({tuple("1112"), tuple("2233")}, lengths)

  def test_seed_decides(self):
    self.assertEqual(self._examples(16), self._examples(16))
    self.assertNotEqual(self._examples(16), self._examples(16, seed=2))

  @parameterized.product(start=(3, 4, 20), bucket_batches=(1, 2))
  def test_goes_on_from_any_example(self, start, bucket_batches):
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
            shard=shards.Shard(index=index, count=2, by_record=True),
        )
        for index in (0, 1)
    )
    self.assertEqual(whole[:2] + whole[4:6] + whole[8:10], first)
    self.assertEqual(whole[2:4] + whole[6:8] + whole[10:], second)

  def test_process_with_files_of_its_own(self):
    shard = shards.Shard(index=1, count=2)
    examples = self._examples(4, shard=shard, start_example=8)
    self.assertCountEqual(_CONTENTS[1].split(), examples)

  def test_numbers_of_a_process(self):
    order = training_order.TrainingOrder(
        batch_size=8,
        seed=1,
        start_example=16,
        shard=shards.Shard(index=1, count=2, num_parts=2),
    )
    # Rows 4 to 7 of each batch of 8; two for each of the two devices.
    self.assertEqual(2, order.part_size)
    self.assertEqual(8, order.own_start)
    own = tf.range(order.own_start, order.own_start + 5, dtype=tf.int64)
    for wrap in (lambda f: f, lambda f: tf.function(f, autograph=False)):
      numbers = wrap(order.number_in_run)(own)
      self.assertAllEqual([20, 21, 22, 23, 28], numbers)

  def test_no_example(self):
    self.files = [self.create_tempfile().full_path]
    with self.assertRaisesRegex(ValueError, "These files hold no record: /"):
      self._examples(1)


if __name__ == "__main__":
  tf.test.main()
