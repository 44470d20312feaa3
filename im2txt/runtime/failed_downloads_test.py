"""Tests of failed_downloads."""

import gzip

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.runtime import failed_downloads


class FailedDownloadsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("empty", b"", "is empty"),
      (
          "lfs",
          b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
          "Git LFS pointer.*git lfs pull",
      ),
      ("page", b"<!DOCTYPE html><html>", "web page"),
      ("page_after_space", b"\xef\xbb\xbf\r\n  <HTML>", "web page"),
      ("xml_error", b"<?xml version='1.0'?><Error>AccessDenied", "web page"),
      ("gzip", gzip.compress(b"a"), "gzip archive: unpack"),
  )
  def test_describe(self, content, expected):
    path = self.create_tempfile("model.ckpt-1.index", content, "wb").full_path
    self.assertRegex(failed_downloads.describe(path), expected)

  @parameterized.named_parameters(
      ("words", "word_counts.txt", b"a 969108\n<S> 586368"),
      ("data", "model.ckpt-1.data-00000-of-00001", b"\0\0\x80\x3f" * 200),
      ("keras", "weights.keras", b"PK\x03\x04" + bytes(30)),
  )
  def test_what_may_be_a_file_of_data(self, name, content):
    path = self.create_tempfile(name, content, "wb").full_path
    self.assertIsNone(failed_downloads.describe(path))


if __name__ == "__main__":
  absltest.main()
