"""Tests of finding a checkpoint that is not damaged."""

import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt.checkpointing import checkpoint_saver
from im2txt.checkpointing import readable_checkpoint


def _empty(path):
  os.truncate(path, 0)


def _cut_short(path):
  os.truncate(path, os.path.getsize(path) - 1)


def _zeros(path):
  with open(path, "r+b") as file:
    file.write(bytes(os.path.getsize(path)))


_DATA = ".data-00000-of-00001"


class ReadableCheckpointTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    saver = checkpoint_saver.Saver(
        {"weights": tf.Variable([1.0, 2.0])}, self.dir, max_to_keep=3
    )
    self.paths = [saver.save(step) for step in (1, 2, 3)]

  def test_the_newest_if_all_are_whole(self):
    with self.assertNoLogs("absl", "WARNING"):
      self.assertEqual(self.paths[2], readable_checkpoint.find(self.dir))

  @parameterized.product(
      damage=(_empty, _cut_short, _zeros, os.remove), suffix=(".index", _DATA)
  )
  def test_passes_over_a_damaged_one(self, damage, suffix):
    damage(self.paths[2] + suffix)
    self.assertEqual(self.paths[1], readable_checkpoint.find(self.dir))

  def test_says_what_it_passes_over(self):
    _zeros(self.paths[2] + _DATA)
    with self.assertLogs("absl", "WARNING") as logs:
      readable_checkpoint.find(self.dir)
    self.assertLen(logs.output, 1)
    self.assertRegex(logs.output[0], "damaged .*model.ckpt-3 can't be read: ")

  @parameterized.parameters(_empty, _cut_short, _zeros, os.remove)
  def test_does_without_the_list(self, damage):
    damage(os.path.join(self.dir, "checkpoint"))
    _zeros(self.paths[2] + ".index")
    self.assertEqual(self.paths[1], readable_checkpoint.find(self.dir))

  def test_does_not_start_anew_when_all_are_damaged(self):
    for path in self.paths:
      _zeros(path + _DATA)
    with self.assertRaisesRegex(
        ValueError, f"^All checkpoints in {self.dir} are damaged, such as .*-3"
    ):
      readable_checkpoint.find(self.dir)

  def test_none(self):
    self.assertIsNone(readable_checkpoint.find(self.create_tempdir().full_path))


if __name__ == "__main__":
  tf.test.main()
