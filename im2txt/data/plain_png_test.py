"""Tests of plain_png."""

import io

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from PIL import Image
import tensorflow as tf

from im2txt.data import plain_png


class PlainPngTest(parameterized.TestCase):

  @parameterized.parameters(
      (1, 1),
      (30, 20),
      (700, 1000),  # Two strips: 500 rows of 2,100 bytes are one.
      (400_000, 2),  # Rows that are longer than a strip.
  )
  def test_pixels_are_kept(self, width, height):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, [height, width, 3], np.uint8)
    file = plain_png.encode(Image.fromarray(pixels))
    with Image.open(io.BytesIO(file)) as opened:
      np.testing.assert_array_equal(np.asarray(opened), pixels)
    np.testing.assert_array_equal(tf.io.decode_png(file), pixels)
    self.assertLess(len(file), pixels.size * 1.01 + 2 * height + 200)


if __name__ == "__main__":
  absltest.main()
