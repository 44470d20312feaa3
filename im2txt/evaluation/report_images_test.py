"""Tests of report_images."""

import pathlib

from absl.testing import absltest
from absl.testing import parameterized
from PIL import Image

from im2txt.evaluation import report_images

_ORIENTATION = 0x0112
_MAKER = 0x010F
_RED, _WHITE = (255, 0, 0), (255, 255, 255)


class ReportImagesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._dir = pathlib.Path(self.create_tempdir().full_path)
    self._thumbnail = self._dir / "thumbnail.jpg"
    self._image = self._dir / "image.jpg"

  def _write(self, name):
    return report_images.write(
        self._dir / name, thumbnail=self._thumbnail, image=self._image
    )

  def _assert_color(self, color, expected):
    for value, expected_value in zip(color, expected, strict=True):
      self.assertAlmostEqual(value, expected_value, delta=4)

  @parameterized.named_parameters(
      ("wide", (1600, 800), (320, 160), (800, 400)),
      ("high", (400, 640), (200, 320), (400, 640)),
  )
  def test_large_picture(self, size, thumbnail_size, image_size):
    Image.new("RGB", size, _RED).save(self._dir / "a.jpg")
    self.assertEqual(self._write("a.jpg"), [self._thumbnail, self._image])
    with Image.open(self._thumbnail) as thumbnail:
      self.assertEqual(thumbnail.size, thumbnail_size)
      self.assertEqual(thumbnail.format, "JPEG")
    with Image.open(self._image) as image:
      self.assertEqual(image.size, image_size)

  def test_small_picture_needs_one_copy(self):
    Image.new("RGB", (320, 100), _RED).save(self._dir / "a.jpg")
    self.assertEqual(self._write("a.jpg"), [self._thumbnail])
    self.assertFalse(self._image.exists())
    with Image.open(self._thumbnail) as thumbnail:
      self.assertEqual(thumbnail.size, (320, 100))

  def test_copies_are_upright_and_tell_nothing_else(self):
    exif = Image.Exif()
    exif[_ORIENTATION] = 6  # Lies on its side.
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
  def test_no_picture(self, content):
    (self._dir / "a.jpg").write_bytes(content.encode("latin-1"))
    self.assertEmpty(self._write("a.jpg"))

  @parameterized.parameters("jpg", "png", "gif", "webp", "tiff", "bmp")
  def test_truncated(self, suffix):
    path = self._dir / f"a.{suffix}"
    Image.effect_noise((64, 64), 100).convert("RGB").save(path)
    self.assertLen(self._write(path.name), 1)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    self._thumbnail.unlink()
    self.assertEmpty(self._write(path.name))
    self.assertFalse(self._thumbnail.exists())

  @parameterized.parameters("gone.jpg", ".")
  def test_no_file(self, name):
    self.assertEmpty(self._write(name))

  def test_folder_that_can_not_be_written_is_no_fault_of_the_picture(self):
    Image.new("RGB", (8, 8)).save(self._dir / "a.jpg")
    self._thumbnail = self._dir / "missing" / "thumbnail.jpg"
    with self.assertRaises(FileNotFoundError):
      self._write("a.jpg")


if __name__ == "__main__":
  absltest.main()
