"""Tests of atomic_files."""

import errno
import os
from pathlib import Path
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.runtime import atomic_files


class AtomicFilesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)
    self.path = self.folder / "train-00000-of-00001"

  def _names(self):
    return sorted(path.name for path in self.folder.iterdir())

  def test_replaces_the_file_at_the_end(self):
    self.path.write_bytes(b"old")
    with atomic_files.create(str(self.path)) as file:
      file.write(b"new")
      file.flush()
      self.assertEqual(self.path.read_bytes(), b"old")
      self.assertLen(self._names(), 2)
    self.assertEqual(self.path.read_bytes(), b"new")
    self.assertEqual(self._names(), [self.path.name])

  def test_leaves_the_file_when_the_block_fails(self):
    self.path.write_bytes(b"old")
    with (
        self.assertRaisesRegex(ValueError, "No."),
        atomic_files.create(str(self.path)) as file,
    ):
      file.write(b"new")
      raise ValueError("No.")
    self.assertEqual(self.path.read_bytes(), b"old")
    self.assertEqual(self._names(), [self.path.name])

  def test_an_error_while_writing_names_the_file(self):
    with (
        self.assertRaisesRegex(OSError, "train-00000-of-00001") as caught,
        atomic_files.create(str(self.path)),
    ):
      raise OSError(28, "No space left on device")
    self.assertEqual(caught.exception.filename, str(self.path))

  def _error(self, error, **kwargs):
    with (
        self.assertRaises(OSError) as caught,
        atomic_files.errors_name("out/1", **kwargs),
    ):
      raise error
    return caught.exception

  @parameterized.parameters(
      (OSError(errno.ENOSPC, "No space left on device"),),
      (OSError(errno.EFBIG, "No space left on device", "out/.1.tmp"),),
      (OSError(errno.EIO, "No space left on device"),),
  )
  def test_a_full_disk_is_a_sentence(self, error):
    self.assertEqual(
        str(self._error(error)),
        "out/1 can't be written: No space left on device.",
    )

  @parameterized.parameters(
      ("out/.2/config.json", "out/1"), ("/tmp/words", "/tmp/words")
  )
  def test_a_file_in_a_temporary_folder_is_not_named(self, inner, expected):
    error = atomic_files.WriteError(errno.EIO, "Full", inner)
    raised = self._error(error, temporary="out/.2")
    self.assertEqual(raised.filename, expected)

  @parameterized.parameters(
      (PermissionError(errno.EACCES, "No access", "image"),),
      (OSError(errno.EIO, "Broken", "image"),),  # A read error.
      (FileExistsError("Something is there."),),
  )
  def test_other_errors_stay_as_they_are(self, error):
    self.assertIs(self._error(error), error)

  def test_an_error_names_the_file_and_not_the_temporary_one(self):
    with (
        self.assertRaises(FileNotFoundError) as caught,
        atomic_files.create("/no/folder/file"),
    ):
      self.fail()
    self.assertEqual(caught.exception.filename, "/no/folder/file")

  def test_keeps_the_name_of_another_file_in_an_error(self):
    with (
        self.assertRaises(FileNotFoundError) as caught,
        atomic_files.create(str(self.path)),
    ):
      Path("/no/image").read_bytes()
    self.assertEqual(caught.exception.filename, "/no/image")

  @parameterized.parameters(
      "/dev/null", "/dev/stdout", "/dev/new", "{}/pipe", "{}/folder"
  )
  def test_replaces_only_files(self, path):
    path = path.format(self.folder)
    (self.folder / "folder").mkdir()
    os.mkfifo(self.folder / "pipe")
    with (
        mock.patch.object(Path, "replace", self.fail),
        self.assertRaisesRegex(
            ValueError, f"{path} is (not a regular file|a folder)"
        ),
        atomic_files.create(path),
    ):
      self.fail()

  def test_removes_temporaries_before_and_after(self):
    stale = ".train-00001-of-00002.4711.tmp"
    others = [".notes.4711.tmp", ".train-00001-of-00002", "train-1-of-2.tmp"]
    for name in (stale, *others):
      (self.folder / name).touch()
    pattern = "train-?????-of-?????"
    with atomic_files.temporaries_removed(str(self.folder), pattern):
      self.assertEqual(self._names(), others)
      (self.folder / stale).touch()
    self.assertEqual(self._names(), others)


if __name__ == "__main__":
  absltest.main()
