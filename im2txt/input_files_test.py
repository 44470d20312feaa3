"""Tests of input_files."""

import os
from pathlib import Path

from absl.testing import parameterized
import tensorflow as tf

from im2txt import input_files


class InputFilesTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)
    for name in ("b.jpg", "a.jpg", "c.png", "d[1].jpg", "e,f.jpg"):
      (self.folder / name).write_bytes(name.encode())

  @parameterized.parameters(
      (["a.jpg"], ["a.jpg"], []),
      (["*.jpg"], ["a.jpg", "b.jpg", "d[1].jpg", "e,f.jpg"], []),
      # The order given, each file once.
      (["b.jpg", "[a-c].*"], ["b.jpg", "a.jpg", "c.png"], []),
      (["c.png", " a.jpg", ""], ["c.png", "a.jpg"], []),
      # Names that look like patterns or like several names.
      (["d[1].jpg"], ["d[1].jpg"], []),
      (["e,f.jpg"], ["e,f.jpg"], []),
      (["a.jpg", "no.jpg", "*.gif"], ["a.jpg"], ["no.jpg", "*.gif"]),
      (["*.gif"], [], ["*.gif"]),
  )
  def test_finds(self, patterns, names, unmatched):
    def in_folder(names):
      return [os.path.join(self.folder, name) for name in names]

    given = ",".join(
        f"{' ' * name.startswith(' ')}{self.folder / name.strip()}"
        if name
        else ""
        for name in patterns
    )
    self.assertEqual(
        input_files.find(given), (in_folder(names), in_folder(unmatched))
    )

  def test_reads(self):
    self.assertEqual(input_files.read(str(self.folder / "a.jpg")), b"a.jpg")


if __name__ == "__main__":
  tf.test.main()
