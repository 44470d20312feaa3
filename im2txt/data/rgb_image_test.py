"""Tests of images of all modes in RGB."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from PIL import Image

from im2txt.data import rgb_image

_RED, _WHITE, _BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)
_GREY = (128, 128, 128)


def _of_16_bits(value):
  return Image.fromarray(np.full((6, 8), value, np.uint16))


class RgbImageTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("colour", Image.new("RGB", (8, 6), "red"), _RED),
      ("grey", Image.new("L", (8, 6), 128), _GREY),
      ("grey_of_16_bits", _of_16_bits(32768), _GREY),
      ("black_of_16_bits", _of_16_bits(255), _BLACK),
      ("black_and_white", Image.new("1", (8, 6), 1), _WHITE),
      ("palette", Image.new("RGB", (8, 6), "red").convert("P"), _RED),
      ("cmyk", Image.new("CMYK", (8, 6), (0, 255, 255, 0)), _RED),
      ("opaque", Image.new("RGBA", (8, 6), "red"), _RED),
  )
  def test_both_are_the_same(self, image, expected):
    for convert in (rgb_image.convert, rgb_image.on_white):
      converted = convert(image)
      self.assertEqual(("RGB", (8, 6)), (converted.mode, converted.size))
      self.assertEqual(expected, converted.getpixel((4, 3)))

  @parameterized.named_parameters(
      ("colour", Image.new("RGBA", (8, 6), (255, 0, 0, 0)), _RED),
      ("grey", Image.new("LA", (8, 6), (0, 0)), _BLACK),
  )
  def test_transparent(self, image, hidden):
    self.assertEqual(hidden, rgb_image.convert(image).getpixel((4, 3)))
    self.assertEqual(_WHITE, rgb_image.on_white(image).getpixel((4, 3)))

  def test_half_transparent(self):
    image = Image.new("RGBA", (8, 6), (255, 0, 0, 51))  # A fifth.
    found = rgb_image.on_white(image).getpixel((4, 3))
    self.assertEqual((255, 204, 204), found)


if __name__ == "__main__":
  absltest.main()
