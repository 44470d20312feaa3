"""Tests of checkpoint_paths."""

import contextlib
import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoint_saver


class CheckpointPathsTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path

  def _path(self, name):
    return os.path.join(self.dir, name)

  def _saver(self, folder=""):
    path = self._path(folder)
    os.makedirs(path, exist_ok=True)
    return checkpoint_saver.Saver(
        {"global_step": tf.Variable(3)}, path, max_to_keep=3
    )

  def test_newest_of_a_folder(self):
    saver = self._saver()
    saver.save(1)
    saver.save(2)
    self.assertEqual(
        self._path("model.ckpt-2"), checkpoint_paths.find(self.dir)
    )

  @parameterized.parameters("", ".index", ".data-00000-of-00001")
  def test_prefix_or_one_of_the_files(self, suffix):
    path = self._saver().save(1)
    self.assertEqual(path, checkpoint_paths.find(path + suffix))

  def test_index_file_stands_for_its_folder(self):
    path = self._saver().save(1)
    self.assertEqual(path, checkpoint_paths.find(self._path("checkpoint")))
    with contextlib.chdir(self.dir):
      self.assertEqual(
          os.path.join(".", "model.ckpt-1"), checkpoint_paths.find("checkpoint")
      )

  def test_all_of_several_patterns(self):
    saver = self._saver()
    paths = [saver.save(step) for step in (9, 10, 100)]
    found = checkpoint_paths.find_all(
        f"{paths[2]}, {self._path('model.ckpt-*')}"
    )
    self.assertEqual(
        ["model.ckpt-100", "model.ckpt-9", "model.ckpt-10"], list(found)
    )
    self.assertEqual([paths[2], *paths[:2]], list(found.values()))

  def test_names_that_need_their_folders(self):
    path = self._saver().save(1)
    other = self._saver("other").save(1)
    found = checkpoint_paths.find_all(f"{self.dir},{other}")
    self.assertEqual({path: path, other: other}, found)

  @parameterized.parameters("model.ckpt-*", "", "model.ckpt-7")
  def test_pattern_without_checkpoints(self, name):
    with self.assertRaisesRegex(FileNotFoundError, "No checkpoint"):
      checkpoint_paths.find_all(self._path(name))

  def test_moved_folder(self):
    self._saver().save(1)
    moved = self.dir + "_moved"
    os.rename(self.dir, moved)
    self.assertEqual(
        os.path.join(moved, "model.ckpt-1"), checkpoint_paths.find(moved)
    )

  def test_falls_back_to_an_older_one(self):
    saver = self._saver()
    saver.save(1)
    saver.save(2)
    os.remove(self._path("model.ckpt-2.index"))
    self.assertEqual(
        self._path("model.ckpt-1"), checkpoint_paths.find(self.dir)
    )

  def test_nothing_left(self):
    self._saver().save(1)
    os.remove(self._path("model.ckpt-1.index"))
    with self.assertRaisesRegex(FileNotFoundError, "names .*model.ckpt-1"):
      checkpoint_paths.find(self.dir)

  def test_without_the_file_checkpoint(self):
    saver = self._saver()
    saver.save(9)
    saver.save(10)
    os.remove(self._path("checkpoint"))
    for name in ("model.ckpt-99.meta", "inception_v3.ckpt", "config.json"):
      open(self._path(name), "w").close()
    self.assertEqual(
        self._path("model.ckpt-10"), checkpoint_paths.find(self.dir)
    )
    open(self._path("model.ckpt-11"), "w").close()  # As of 2016: one file.
    self.assertEqual(
        self._path("model.ckpt-11"), checkpoint_paths.find(self.dir)
    )

  def test_empty_folder(self):
    self.assertIsNone(checkpoint_paths.find_latest(self.dir))
    with self.assertRaisesRegex(FileNotFoundError, "in folder"):
      checkpoint_paths.find(self.dir)

  def test_folder_too_high(self):
    os.makedirs(self._path("eval"))
    for name in ("train", "old"):
      self._saver(name).save(1)
    with self.assertRaisesRegex(
        FileNotFoundError,
        f"folder: {self.dir}; but there is one in"
        f" {self._path('old')}, {self._path('train')}$",
    ):
      checkpoint_paths.find(self.dir)

  def test_missing_path(self):
    self.assertIsNone(checkpoint_paths.find_latest(self._path("missing")))
    with self.assertRaisesRegex(FileNotFoundError, "found at: .*model.ckpt-9"):
      checkpoint_paths.find(self._path("model.ckpt-9"))


if __name__ == "__main__":
  tf.test.main()
