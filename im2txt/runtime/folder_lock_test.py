"""Tests of folder_lock."""

import errno
import os
import subprocess
import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.runtime import folder_lock
from im2txt.testing import programs

_HOLDER = """
import sys
from im2txt.runtime import folder_lock
with folder_lock.hold(sys.argv[1]):
  print("held", flush=True)
  sys.stdin.read()
"""


class FolderLockTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = os.path.join(self.create_tempdir().full_path, "train")

  def test_second_process_is_refused_until_the_first_is_killed(self):
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, self.folder],
        env=programs.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
      self.assertEqual(b"held\n", holder.stdout.readline())
      self.assertFalse(folder_lock.was_released(self.folder))
      with (
          self.assertRaisesRegex(
              folder_lock.FolderInUseError,
              f"{self.folder} is being written by process {holder.pid} on ",
          ),
          folder_lock.hold(self.folder),
      ):
        self.fail("Two processes hold the folder.")
      holder.kill()
    self.assertTrue(folder_lock.was_released(self.folder))
    with folder_lock.hold(self.folder):
      self.assertTrue(os.path.exists(os.path.join(self.folder, "lock")))

  @parameterized.parameters("{folder}", "gs://bucket/train")
  def test_was_never_held(self, folder):
    self.assertFalse(
        folder_lock.was_released(folder.format(folder=self.folder))
    )

  def test_may_be_held_again(self):
    for _ in range(2):
      with folder_lock.hold(self.folder):
        pass

  def test_cloud_paths_are_not_locked(self):
    with (
        mock.patch.object(os, "makedirs") as makedirs,
        folder_lock.hold("gs://bucket/train"),
    ):
      makedirs.assert_not_called()

  def test_file_system_without_locks(self):
    error = OSError(errno.ENOLCK, "No locks available")
    with (
        mock.patch.object(folder_lock.fcntl, "flock", side_effect=error),
        self.assertLogs("absl", "WARNING") as logs,
        folder_lock.hold(self.folder),
    ):
      self.assertIn("can't be locked: No locks available", logs.output[0])


if __name__ == "__main__":
  absltest.main()
