"""Tests of decoding image formats that records do not contain."""

import io

from absl.testing import parameterized
import numpy as np
from PIL import Image
import tensorflow as tf

from im2txt.ops import image_processing

_PIXELS = np.random.default_rng(1).integers(0, 256, [6, 5, 3], np.uint8)


def _encoded(file_format, **options):
  file = io.BytesIO()
  Image.fromarray(_PIXELS).save(file, file_format, **options)
  return file.getvalue()


def _in_graph(function):
  return tf.function(
      function,
      input_signature=[tf.TensorSpec([], tf.string)],
      autograph=False,
  )


def _in_dataset(function):
  return lambda file: next(
      iter(tf.data.Dataset.from_tensors(file).map(function))
  )


_EVERY_WAY = (lambda function: function, _in_graph, _in_dataset)


class DecodeAnyImageTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(way=_EVERY_WAY, file_format=("PNG", "BMP"))
  def test_exact_pixels(self, way, file_format):
    decode = way(image_processing.decode_any_image)
    self.assertAllEqual(decode(_encoded(file_format)), _PIXELS)

  @parameterized.product(way=_EVERY_WAY)
  def test_the_first_picture_of_a_gif(self, way):
    other = Image.fromarray(255 - _PIXELS)
    encoded = _encoded("GIF", save_all=True, append_images=[other])
    decoded = way(image_processing.decode_any_image)(encoded)
    expected = Image.open(io.BytesIO(encoded)).convert("RGB")
    self.assertAllEqual(decoded, np.asarray(expected))

  @parameterized.product(way=_EVERY_WAY, image_format=("jpeg", "png"))
  def test_jpegs_as_in_the_records(self, way, image_format):
    encoded = _encoded("JPEG")
    decode = way(
        lambda file: image_processing.decode_any_image(file, image_format)
    )
    self.assertAllEqual(
        decode(encoded), image_processing.decode_image(encoded, image_format)
    )

  @parameterized.parameters(b"", b"B", b"BM", b"GIF89a", b"no image")
  def test_what_is_no_image(self, encoded):
    with self.assertRaises(tf.errors.InvalidArgumentError):
      image_processing.decode_any_image(encoded)


if __name__ == "__main__":
  tf.test.main()
