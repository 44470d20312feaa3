"""Tests of checkpoint_paths."""

import contextlib
import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints

_SUFFIXES = (".index", ".data-00000-of-00001")


class CheckpointPathsTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path

  def _path(self, name):
    return os.path.join(self.dir, name)

  def _write_state(self, folder, path):
    with open(self._path(f"{folder}/checkpoint"), "w", encoding="utf-8") as f:
      f.write(f'model_checkpoint_path: "{path}"\n')
      f.write(f'all_model_checkpoint_paths: "{path}"\n')

  def _saver(self, folder=""):
    path = self._path(folder)
    os.makedirs(path, exist_ok=True)
    return checkpoints.Saver(
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
    path = self._saver().save(1)
    for suffix in _SUFFIXES:
      os.remove(path + suffix)
    with self.assertRaisesRegex(FileNotFoundError, "names .*model.ckpt-1"):
      checkpoint_paths.find(self.dir)

  @parameterized.product(
      state=(
          "{other}/model.ckpt-1",
          r"C:\\im2txt\\train\\model.ckpt-1",
          r"train\\model.ckpt-1",
          "../elsewhere/model.ckpt-1",
      ),
      has_other=(True, False),
  )
  def test_own_checkpoint_comes_before_the_path(self, state, has_other):
    own = self._saver("copy").save(1)
    if has_other:
      self._saver("original").save(1)
    self._write_state("copy", state.format(other=self._path("original")))
    self.assertEqual(own, checkpoint_paths.find(self._path("copy")))
    self.assertEqual([own], checkpoint_paths.find_own(self._path("copy")))

  def test_path_is_followed_if_the_folder_has_no_such_checkpoint(self):
    original = self._saver("original").save(1)
    os.makedirs(self._path("copy"))
    self._write_state("copy", original)
    self.assertEqual(original, checkpoint_paths.find(self._path("copy")))
    self.assertEmpty(checkpoint_paths.find_own(self._path("copy")))

  @parameterized.product(
      removed=_SUFFIXES, given=("model.ckpt-1", *_SUFFIXES, "", "checkpoint")
  )
  def test_incomplete(self, removed, given):
    path = self._saver().save(1)
    os.remove(path + removed)
    named = path + given if given in _SUFFIXES else self._path(given)
    if removed == ".index":
      with self.assertRaisesRegex(
          FileNotFoundError, rf"ckpt-1 is incomplete: {path}\.index missing"
      ):
        checkpoint_paths.find(named)
    self.assertEqual([path + removed], checkpoint_paths.missing_files(path))

  @parameterized.parameters(True, False)
  def test_incomplete_without_the_file_checkpoint(self, is_folder):
    path = self._saver().save(1)
    os.remove(path + ".index")
    os.remove(self._path("checkpoint"))
    with self.assertRaisesRegex(FileNotFoundError, r"ckpt-1\.index missing"):
      checkpoint_paths.find(self.dir if is_folder else path)

  def test_missing_shard(self):
    path = self._path("model.ckpt-1")
    for name in (".index", ".data-00000-of-00003", ".data-00002-of-00003"):
      open(path + name, "w").close()
    self.assertEqual(
        [path + ".data-00001-of-00003"], checkpoint_paths.missing_files(path)
    )

  def test_half_renamed(self):
    path = self._saver().save(1)
    renamed = self._path("best.ckpt")
    os.rename(path + ".index", renamed + ".index")
    missing = checkpoint_paths.missing_files(renamed)
    self.assertRegex(
        checkpoint_paths.describe_missing(renamed, missing),
        f"^The checkpoint {renamed} is incomplete: {renamed}.data-00000-of-"
        f"00001 missing.* also a part of {path}:",
    )

  def test_nothing_is_missing_of_a_whole_one_or_of_none(self):
    path = self._saver().save(1)
    open(self._path("model.ckpt-2"), "w").close()  # As of 2016: one file.
    for name in (path, self._path("model.ckpt-2"), self._path("model.ckpt-3")):
      self.assertEmpty(checkpoint_paths.missing_files(name))

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
