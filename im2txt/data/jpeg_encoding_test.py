"""Tests of jpeg_encoding."""

import io

from absl.testing import absltest
from absl.testing import parameterized
from PIL import Image

from im2txt.data import jpeg_encoding

_RED, _WHITE, _BLACK = (254, 0, 0), (255, 255, 255), (0, 0, 0)
_GREY = (128, 128, 128)


def _encoded(image: Image.Image, image_format: str, **options) -> bytes:
  content = io.BytesIO()
  image.save(content, image_format, **options)
  return content.getvalue()


def _plain(mode, colour) -> Image.Image:
  return Image.new(mode, (16, 8), colour)


def _turned() -> bytes:
  """A PNG whose EXIF says that it lies on its side."""
  exif = Image.Exif()
  exif[0x0112] = 6
  return _encoded(_plain("RGB", "red"), "PNG", exif=exif)


class JpegEncodingTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("colour", _plain("RGB", "red"), "PNG", _RED),
      ("webp", _plain("RGB", "white"), "WEBP", _WHITE),
      ("grey", _plain("L", 128), "BMP", _GREY),
      ("black_and_white", _plain("1", 1), "TIFF", _WHITE),
      ("palette", _plain("RGB", "white").convert("P"), "GIF", _WHITE),
      ("cmyk", _plain("CMYK", (0, 255, 255, 0)), "TIFF", _RED),
      ("16_bits", _plain("I;16", 32768), "PNG"),
      ("transparent", _plain("RGBA", (0, 0, 0, 0)), "PNG", _WHITE),
      ("transparent_grey", _plain("LA", (0, 255)), "PNG", _BLACK),
  )
  def test_encodes(self, image, image_format, colour=_GREY):
    data = _encoded(image, image_format)
    self.assertIsNone(jpeg_encoding.problem_of(data))
    with Image.open(io.BytesIO(jpeg_encoding.to_jpeg(data))) as encoded:
      self.assertEqual(
          (encoded.format, encoded.mode, encoded.size), ("JPEG", "RGB", (16, 8))
      )
      self.assertEqual(encoded.getpixel((8, 4)), colour)

  def test_takes_the_first_frame(self):
    frames = [_plain("RGB", colour) for colour in ("white", "black")]
    data = _encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with Image.open(io.BytesIO(jpeg_encoding.to_jpeg(data))) as encoded:
      self.assertEqual(encoded.getpixel((0, 0)), _WHITE)

  def test_turns_upright(self):
    with Image.open(io.BytesIO(jpeg_encoding.to_jpeg(_turned()))) as encoded:
      self.assertEqual(encoded.size, (8, 16))

  @parameterized.parameters("RGB", "L", "CMYK")
  def test_a_jpeg_stays_as_it_is(self, mode):
    data = _encoded(_plain(mode, 0), "JPEG", quality=30) + b"appended"
    self.assertIsNone(jpeg_encoding.problem_of(data))
    self.assertEqual(jpeg_encoding.to_jpeg(data), data)

  @parameterized.named_parameters(
      ("nothing", b"", "empty"),
      ("text", b"<!DOCTYPE html>", "no image that Pillow reads"),
      ("jpeg", _encoded(_plain("L", 0), "JPEG")[:-9], "truncated"),
      ("png", _turned()[:-30], "corrupt or truncated"),
      ("exif", _encoded(_plain("L", 0), "PNG", exif=b"x"), "corrupt"),
      ("short_exif", _encoded(_plain("L", 0), "PNG", exif=b"II*\0"), "corr"),
  )
  def test_finds_problems(self, data, problem):
    self.assertRegex(jpeg_encoding.problem_of(data), problem)


if __name__ == "__main__":
  absltest.main()
