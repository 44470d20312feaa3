"""Tests of the order of examples by the lengths of their captions."""

import numpy as np
import tensorflow as tf

from im2txt.ops import length_buckets

# Captions of example i have this many words; twelve examples an epoch.
_LENGTHS = np.array([5, 2, 9, 4, 7, 3, 8, 6, 2, 9, 5, 4])


def _examples_from(start):
  numbers = tf.data.Dataset.range(start, tf.int64.max)
  lengths = tf.constant(_LENGTHS)
  return numbers.map(lambda i: (i, lengths[i % 12]))


def _numbers(count=24, num_batches=3, seed=1, start=0):
  dataset = length_buckets.bucketed(
      _examples_from,
      lengths=lambda window: window[1],
      batch_size=2,
      num_batches=num_batches,
      seed=seed,
      start=start,
  )
  return [int(number) for number, _ in dataset.take(count)]


class LengthBucketsTest(tf.test.TestCase):

  def test_one_batch_a_window_changes_nothing(self):
    self.assertEqual([3, 4, 5], _numbers(3, num_batches=1, start=3))

  def test_a_window_by_hand(self):
    # Lengths 5 2 9 4 7 3 make the batches (2, 3), (4, 5) and (7, 9).
    numbers = _numbers(6)
    batches = {tuple(numbers[i : i + 2]) for i in (0, 2, 4)}
    self.assertEqual({(1, 5), (3, 0), (4, 2)}, batches)

  def test_each_example_once_an_epoch(self):
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
