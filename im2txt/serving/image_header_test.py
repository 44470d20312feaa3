"""Tests of what is said of images by their headers."""

import io
import struct
import zlib

from absl.testing import absltest
from absl.testing import parameterized
from PIL import Image

from im2txt.serving import image_header
from im2txt.testing import fake_captioner


def _png(width, height):
  """A PNG whose header has any size, and nothing behind it."""
  header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
  check = struct.pack(">I", zlib.crc32(header))
  end = b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
  return b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + check + end


def _jpeg(width, height):
  """A JPEG whose header has any size."""
  made = fake_captioner.image(8, 6, "jpeg")
  size = made.index(b"\xff\xc0") + 5
  return made[:size] + struct.pack(">HH", height, width) + made[size + 4 :]


class ImageHeaderTest(parameterized.TestCase):

  @parameterized.parameters("jpeg", "png")
  def test_good(self, kind):
    image = fake_captioner.image(8, 6, kind)
    self.assertIsNone(image_header.problem_of(image, max_pixels=48))
    self.assertEqual(
        image_header.problem_of(image, max_pixels=47),
        "It has 8 x 6 pixels; at most 47 pixels are allowed.",
    )

  @parameterized.parameters(_png, _jpeg)
  def test_bombs(self, make):
    self.assertRegex(
        image_header.problem_of(make(65000, 65000), max_pixels=40_000_000),
        "65000 x 65000 pixels; at most 40,000,000",
    )

  def test_a_real_bomb_is_small(self):
    file = io.BytesIO()
    Image.new("1", (20_000, 10_000)).save(file, format="png")
    self.assertLess(len(file.getvalue()), 50_000)
    self.assertIn(
        "20000 x 10000",
        image_header.problem_of(file.getvalue(), max_pixels=40_000_000),
    )

  @parameterized.named_parameters(
      ("empty", b"", "It is empty."),
      ("text", b"text", "It is no JPEG or PNG image."),
      ("gif", fake_captioner.image(kind="gif"), "It is no JPEG or PNG image."),
      ("bmp", fake_captioner.image(kind="bmp"), "It is no JPEG or PNG image."),
      ("jpeg_start", b"\xff\xd8", "It is a damaged JPEG or PNG image."),
      ("jpeg_rest", b"\xff\xd8" + 99 * b"x", "It is a damaged JPEG or PNG"),
      ("png_start", b"\x89PNG\r\n\x1a\n", "It is a damaged JPEG or PNG"),
      ("png_cut", _png(8, 6)[:20], "It is a damaged JPEG or PNG"),
      ("png_empty", _png(0, 6), "It is a damaged JPEG or PNG"),
      ("jpeg_empty", _jpeg(0, 6), "It is a damaged JPEG or PNG"),
  )
  def test_bad(self, data, message):
    self.assertStartsWith(
        image_header.problem_of(data, max_pixels=1000), message
    )


if __name__ == "__main__":
  absltest.main()
