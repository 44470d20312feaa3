"""Tests of caption_files."""

import os
from pathlib import Path

from absl.testing import absltest
from absl.testing import parameterized
from PIL import Image

from im2txt.batch_captioning import caption_files
from im2txt.batch_captioning import caption_formats
from im2txt.inference import captions


def _found(file, sentence):
  said = captions.Caption(
      words=tuple(sentence.split()),
      log_probability=-1.5,
      word_probabilities=(),
      end_probability=None,
      score=-1.5,
  )
  return caption_formats.FileCaptions(str(file), [said])


class CaptionFilesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)

  def _write(self, name, form, found):
    caption_files.write(
        str(self.folder / name), form, found, image_ids={}, summary="By me."
    )

  def test_a_file(self):
    self._write("out.txt", "text", [_found("a\udcff.jpg", "a caf\u00e9")])
    self.assertEqual(
        (self.folder / "out.txt").read_bytes(),
        b"Captions for image a\xff.jpg:\n  0) a caf\xc3\xa9 (p=0.223130)\n",
    )

  def test_a_file_is_replaced_whole_or_not_at_all(self):
    path = self.folder / "out[1].txt"
    path.write_text("before")
    # What a process left that was killed while it wrote the file.
    (self.folder / ".out[1].txt.123.tmp").write_text("half")

    def found():
      yield _found("a.jpg", "a dog")
      self.assertEqual(path.read_text(), "before")
      raise KeyboardInterrupt

    with self.assertRaises(KeyboardInterrupt):
      self._write(path.name, "text", found())
    self.assertEqual(path.read_text(), "before")
    self._write(path.name, "text", [])
    self.assertEqual(path.read_text(), "")
    self.assertEqual(os.listdir(self.folder), [path.name])

  def test_a_page(self):
    Image.new("RGB", (8, 6), "red").save(self.folder / "a.png")
    self._write("page", "html", [_found(self.folder / "a.png", "a <red> one")])
    page = (self.folder / "page" / "index.html").read_text()
    self.assertIn("By me.", page)
    self.assertIn(r"a \u003cred> one", page)
    self.assertTrue((self.folder / "page/thumbnails/000000.jpg").exists())

  @parameterized.parameters(
      ("text", "no/out.txt", FileNotFoundError, "There is no folder for"),
      ("html", "no/page", FileNotFoundError, "There is no folder for"),
      ("text", "full", ValueError, "but .*full is a folder"),
      ("text", "/dev/null", ValueError, "/dev/null is no file"),
      ("html", "full", ValueError, "holds notes.txt"),
      ("html", "full/notes.txt", ValueError, "is a file"),
  )
  def test_what_can_not_be_written(self, form, name, error, message):
    (self.folder / "full").mkdir()
    (self.folder / "full" / "notes.txt").touch()
    with self.assertRaisesRegex(error, message):
      caption_files.check(str(self.folder / name), form)

  @parameterized.parameters("text", "html")
  def test_what_can_be_written(self, form):
    caption_files.check(str(self.folder / "new"), form)
    os.chdir(self.folder)
    caption_files.check("new", form)


if __name__ == "__main__":
  absltest.main()
