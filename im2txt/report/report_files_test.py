"""Tests of report_files."""

import os
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
from PIL import Image

from im2txt.report import report_files

_ORIENTATION = 0x0112
_MAKER = 0x010F
_RED, _WHITE = (255, 0, 0), (255, 255, 255)


class FolderTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._dir = pathlib.Path(self.create_tempdir().full_path)
    self._report = self._dir / "report"

  def _write(self, text="", name=report_files.PAGE):
    with report_files.create_folder(self._report) as folder:
      (folder / "thumbnails").mkdir()
      (folder / "thumbnails" / "000000.jpg").touch()
      (folder / name).write_text(f"{report_files.GENERATOR} {text}")

  def _page(self):
    return (self._report / report_files.PAGE).read_text()

  def test_folder_appears_when_the_block_ends(self):
    with report_files.create_folder(self._report) as folder:
      (folder / report_files.PAGE).touch()
      self.assertFalse(self._report.exists())
    self.assertEqual(os.listdir(self._dir), ["report"])
    self.assertEqual(os.listdir(self._report), [report_files.PAGE])

  def test_parent_folders_are_created(self):
    self._report = self._dir / "a" / "b" / "report"
    self._write()
    self.assertTrue(self._report.is_dir())

  def test_failure_leaves_no_files(self):
    with (
        self.assertRaises(KeyboardInterrupt),
        report_files.create_folder(self._report) as folder,
    ):
      (folder / report_files.PAGE).touch()
      raise KeyboardInterrupt
    self.assertEmpty(os.listdir(self._dir))

  def test_earlier_report_is_replaced_completely(self):
    self._write("old")
    (self._report / "thumbnails" / "000001.jpg").touch()
    self._write("new")
    self.assertIn("new", self._page())
    self.assertEqual(os.listdir(self._report / "thumbnails"), ["000000.jpg"])
    self.assertEqual(os.listdir(self._dir), ["report"])

  def test_failure_keeps_the_earlier_report(self):
    self._write("old")
    with self.assertRaises(OSError), report_files.create_folder(self._report):
      raise OSError("No space left.")
    self.assertIn("old", self._page())
    self.assertEqual(os.listdir(self._dir), ["report"])

  def test_failed_rename_restores_the_earlier_report(self):
    self._write("old")
    with (
        self.assertRaises(OSError),
        report_files.create_folder(self._report) as folder,
    ):
      folder.rmdir()
    self.assertIn("old", self._page())

  def test_files_of_a_killed_process_are_deleted(self):
    partial = self._dir / ".report.partial"
    partial.mkdir()
    (partial / "half").touch()
    self._write()
    self.assertNotIn("half", os.listdir(self._report))
    self.assertEqual(os.listdir(self._dir), ["report"])

  def test_symbolic_link_is_kept(self):
    (self._dir / "elsewhere").mkdir()
    self._report.symlink_to(self._dir / "elsewhere")
    self._write()
    self.assertTrue(self._report.is_symlink())
    self.assertTrue((self._dir / "elsewhere" / report_files.PAGE).exists())

  def test_empty_folder(self):
    self._report.mkdir()
    self._write()
    self.assertTrue(self._page())

  @parameterized.parameters(".DS_Store", "thumbnails/Thumbs.db")
  def test_files_of_file_managers_are_ignored(self, name):
    self._write()
    (self._report / name).touch()
    report_files.check_folder(self._report)

  @parameterized.parameters(
      "thesis.tex", "thumbnails/holiday.jpg", "index.html~", ".git"
  )
  def test_folder_with_other_files_is_rejected(self, name):
    self._write()
    (self._report / name).touch()
    with self.assertRaisesRegex(ValueError, f"{self._report} holds {name}"):
      self._write("new")
    self.assertNotIn("new", self._page())
    self.assertEqual(os.listdir(self._dir), ["report"])

  def test_other_index_page_is_rejected(self):
    self._report.mkdir()
    (self._report / report_files.PAGE).write_text("<h1>My home page</h1>")
    with self.assertRaisesRegex(ValueError, "holds index.html"):
      self._write()
    self.assertIn("home", self._page())

  def test_folder_filled_during_the_block_is_rejected(self):
    with (
        self.assertRaisesRegex(ValueError, "holds thesis.tex"),
        report_files.create_folder(self._report),
    ):
      self._report.mkdir()
      (self._report / "thesis.tex").touch()
    self.assertEqual(os.listdir(self._report), ["thesis.tex"])
    self.assertEqual(os.listdir(self._dir), ["report"])

  def test_file_instead_of_folder_is_rejected(self):
    self._report.touch()
    for path in (self._report, self._report / "a" / "b"):
      with self.assertRaisesRegex(ValueError, "report is a file"):
        report_files.check_folder(path)


class ImageCopyTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._dir = pathlib.Path(self.create_tempdir().full_path)
    self._thumbnail = self._dir / "thumbnail.jpg"
    self._image = self._dir / "image.jpg"

  def _write(self, name):
    return report_files.copy_image(
        self._dir / name, thumbnail=self._thumbnail, image=self._image
    )

  def _assert_color(self, color, expected):
    for value, expected_value in zip(color, expected, strict=True):
      self.assertAlmostEqual(value, expected_value, delta=4)

  @parameterized.named_parameters(
      ("wide", (1600, 800), (320, 160), (800, 400)),
      ("high", (400, 640), (200, 320), (400, 640)),
  )
  def test_large_image(self, size, thumbnail_size, image_size):
    Image.new("RGB", size, _RED).save(self._dir / "a.jpg")
    self.assertEqual(self._write("a.jpg"), [self._thumbnail, self._image])
    with Image.open(self._thumbnail) as thumbnail:
      self.assertEqual(thumbnail.size, thumbnail_size)
      self.assertEqual(thumbnail.format, "JPEG")
    with Image.open(self._image) as image:
      self.assertEqual(image.size, image_size)

  def test_small_image_needs_one_copy(self):
    Image.new("RGB", (320, 100), _RED).save(self._dir / "a.jpg")
    self.assertEqual(self._write("a.jpg"), [self._thumbnail])
    self.assertFalse(self._image.exists())
    with Image.open(self._thumbnail) as thumbnail:
      self.assertEqual(thumbnail.size, (320, 100))

  def test_copies_are_upright_and_have_no_metadata(self):
    exif = Image.Exif()
    exif[_ORIENTATION] = 6  # Rotated by 90 degrees.
    exif[_MAKER] = "a camera"
    Image.new("RGB", (640, 400)).save(self._dir / "a.jpg", exif=exif)
    self._write("a.jpg")
    for path, size in (
        (self._thumbnail, (200, 320)),
        (self._image, (400, 640)),
    ):
      with Image.open(path) as copy:
        self.assertEqual(copy.size, size)
        self.assertNotIn(_MAKER, copy.getexif())

  @parameterized.parameters(
      ("L", 0, (0, 0, 0)),
      ("RGBA", (255, 0, 0, 0), _WHITE),
      ("RGBA", (255, 0, 0, 255), _RED),
      ("LA", (0, 0), _WHITE),
      ("I;16", 255, (0, 0, 0)),
      ("1", 1, _WHITE),
      ("CMYK", (0, 255, 255, 0), _RED),
  )
  def test_modes(self, mode, color, expected):
    name = "a.tiff" if mode == "CMYK" else "a.png"
    Image.new(mode, (8, 8), color).save(self._dir / name)
    self.assertLen(self._write(name), 1)
    with Image.open(self._thumbnail) as thumbnail:
      self._assert_color(thumbnail.getpixel((4, 4)), expected)

  @parameterized.parameters("", "text", "\x89PNG\r\n\x1a\n", "GIF89a")
  def test_not_an_image(self, content):
    (self._dir / "a.jpg").write_bytes(content.encode("latin-1"))
    self.assertEmpty(self._write("a.jpg"))

  @parameterized.parameters("jpg", "png", "gif", "webp", "tiff", "bmp")
  def test_truncated_image(self, suffix):
    path = self._dir / f"a.{suffix}"
    Image.effect_noise((64, 64), 100).convert("RGB").save(path)
    self.assertLen(self._write(path.name), 1)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    self._thumbnail.unlink()
    self.assertEmpty(self._write(path.name))
    self.assertFalse(self._thumbnail.exists())

  @parameterized.parameters("gone.jpg", ".")
  def test_missing_file(self, name):
    self.assertEmpty(self._write(name))

  def test_unwritable_folder_raises(self):
    Image.new("RGB", (8, 8)).save(self._dir / "a.jpg")
    self._thumbnail = self._dir / "missing" / "thumbnail.jpg"
    with self.assertRaises(FileNotFoundError):
      self._write("a.jpg")


if __name__ == "__main__":
  absltest.main()
