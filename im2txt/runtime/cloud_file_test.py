"""Tests of cloud_file."""

import os
from unittest import mock

import tensorflow as tf

from im2txt.runtime import atomic_files
from im2txt.runtime import cloud_file


class CloudFileTest(tf.test.TestCase):

  def test_makes_folders_and_replaces(self):
    path = os.path.join(self.create_tempdir().full_path, "a", "b.bin")
    for content in (b"one", b"\x00two"):
      cloud_file.write(content, path)
      with open(path, "rb") as file:
        self.assertEqual(file.read(), content)
    self.assertEqual(os.listdir(os.path.dirname(path)), ["b.bin"])

  def test_a_folder_is_not_replaced(self):
    folder = self.create_tempdir()
    taken = folder.mkdir("taken.pb")
    with self.assertRaises(IsADirectoryError):
      cloud_file.write(b"x", taken.full_path)
    self.assertEqual(os.listdir(folder.full_path), ["taken.pb"])

  def test_a_device_is_not_replaced(self):
    with (
        mock.patch.object(tf.io.gfile, "rename", self.fail),
        self.assertRaisesRegex(ValueError, "/dev/null is not a regular file"),
    ):
      cloud_file.write(b"x", "/dev/null")

  def test_a_failure_leaves_the_older_file(self):
    file = self.create_tempfile("x", b"old")
    with (
        mock.patch.object(tf.io.gfile, "rename", side_effect=OSError("Full.")),
        self.assertRaisesRegex(OSError, "Full"),
    ):
      cloud_file.write(b"new", file.full_path)
    self.assertEqual(file.read_bytes(), b"old")
    self.assertFalse(os.path.exists(file.full_path + ".tmp"))

  def test_an_error_of_tensorflow_names_the_file(self):
    path = os.path.join(self.create_tempdir().full_path, "model.pb")
    message = f"{path}.tmp; No space left on device\n\tCould not flush."
    error = tf.errors.ResourceExhaustedError(None, None, message)
    with (
        mock.patch.object(tf.io.gfile, "rename", side_effect=error),
        self.assertRaises(atomic_files.WriteError) as caught,
    ):
      cloud_file.write(b"new", path)
    self.assertEqual(
        str(caught.exception),
        f"{path} can't be written: No space left on device.",
    )


if __name__ == "__main__":
  tf.test.main()
