"""Tests of home_folder."""

import os
import pwd
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.runtime import home_folder


class HomeFolderTest(parameterized.TestCase):

  @parameterized.parameters(
      ("~", "/home/ann"),
      ("~/model", "/home/ann/model"),
      ("~/a/train-?????-of-00256", "/home/ann/a/train-?????-of-00256"),
      ("a,~/b", "a,/home/ann/b"),
      ("~/a, ~/b,~", "/home/ann/a, /home/ann/b,/home/ann"),
      ("@~/list.txt", "@/home/ann/list.txt"),
      # Not at the start of a path.
      ("", ""),
      ("a/~/b", "a/~/b"),
      ("./~", "./~"),
      ("file~", "file~"),
      ("gs://bucket/~/model", "gs://bucket/~/model"),
  )
  def test_this_users_home(self, paths, expected):
    with mock.patch.dict(os.environ, HOME="/home/ann"):
      self.assertEqual(home_folder.expand(paths), expected)

  def test_another_users_home(self):
    user = pwd.getpwuid(os.getuid())
    expanded = home_folder.expand(f"a,~{user.pw_name}/model")
    self.assertEqual(expanded, f"a,{user.pw_dir.rstrip('/')}/model")

  @parameterized.parameters("~no-such-user/model", "a,~no-such-user")
  def test_an_unknown_user_is_refused(self, paths):
    with self.assertRaisesRegex(ValueError, "write ./~no-such-user"):
      home_folder.expand(paths)


if __name__ == "__main__":
  absltest.main()
