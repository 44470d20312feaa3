"""Tests of image_processing.

The expected images come from a float64 implementation of the definitions in
NumPy.
"""

import io

from absl.testing import parameterized
import numpy as np
from PIL import Image
import tensorflow as tf

from im2txt.ops import image_processing
from im2txt.testing import numpy_images


def _eager(function, *args):
  return [function(*row) for row in zip(*args, strict=True)]


def _in_function(function, *args):
  return _eager(tf.function(function, autograph=False), *args)


def _in_dataset(function, *args):
  return list(tf.data.Dataset.from_tensor_slices(args).map(function))


# Ways to call a function once per row of its arguments.
_EVERY_WAY = (
    ("eager", _eager),
    ("function", _in_function),
    ("dataset", _in_dataset),
)

_THREAD_IDS = [0, 1, 2, 3, 0, 1, 2, 3]
_SEEDS = [[1, 2], [1, 2], [3, 4], [3, 4], [5, 6], [5, 7], [0, 8], [-9, 0]]


def _encoded(pixels, file_format="PNG", mode=None):
  """Encodes uint8 pixels of shape [height, width, 3]."""
  image = Image.fromarray(pixels)
  file = io.BytesIO()
  image.convert(mode or "RGB").save(file, file_format)
  return file.getvalue()


def _process_png(encoded, *, crop, resize, **kwargs):
  """Calls `process_image`; `crop` and `resize` are (height, width)."""
  return image_processing.process_image(
      encoded,
      height=crop[0],
      width=crop[1],
      resize_height=resize[0],
      resize_width=resize[1],
      image_format="png",
      **kwargs,
  )


def _noise(height, width):
  return np.random.default_rng(7).integers(
      0, 256, [height, width, 3], dtype=np.uint8
  )


def _smooth(height, width):
  """Returns an image of gradients, which JPEG hardly changes."""
  y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
  return np.stack([2 * y, 2 * x, 255 - y - x], axis=-1).astype(np.uint8)


def _split(seed, num):
  return tf.unstack(tf.random.split(tf.constant(seed, tf.int64), num))


def _uniform(seed, low, high):
  return float(tf.random.stateless_uniform([], seed, low, high))


def _expected_distortion(image, *, thread_id, seeds):
  """Distorts `image` by the random numbers of four seeds."""
  brightness = _uniform(seeds[0], -32 / 255, 32 / 255)
  contrast = _uniform(seeds[1], 0.5, 1.5)
  saturation = _uniform(seeds[2], 0.5, 1.5)
  hue = _uniform(seeds[3], -0.032, 0.032)
  image = image + brightness
  if thread_id % 2:
    image = numpy_images.contrast(image, contrast)
  image = numpy_images.hue(numpy_images.saturation(image, saturation), hue)
  if not thread_id % 2:
    image = numpy_images.contrast(image, contrast)
  return np.clip(image, 0, 1)


def _expected_training_image(pixels, *, size, resize, thread_id, seed):
  crop_seed, flip_seed, color_seed = _split(seed, 3)
  image = numpy_images.resize(pixels / 255, resize, resize)
  draws = tf.random.stateless_uniform(
      [3], crop_seed, maxval=tf.int32.max, dtype=tf.int32
  )
  top, left, _ = draws.numpy() % (resize - size + 1)
  image = image[top : top + size, left : left + size]
  if _uniform(flip_seed, 0, 1) < 0.5:
    image = image[:, ::-1]
  image = _expected_distortion(
      image, thread_id=thread_id, seeds=tf.random.split(color_seed, 4)
  )
  return (image - 0.5) * 2


class DecodeImageTest(tf.test.TestCase, parameterized.TestCase):

  def test_png_pixels_are_exact(self):
    pixels = _noise(5, 4)
    image = image_processing.decode_image(_encoded(pixels), "png")
    self.assertEqual(image.dtype, tf.uint8)
    self.assertAllEqual(image, pixels)

  @parameterized.named_parameters(("rgb", "RGB"), ("cmyk", "CMYK"))
  def test_jpeg_comes_out_as_rgb(self, mode):
    pixels = _smooth(40, 50)
    image = image_processing.decode_image(_encoded(pixels, "JPEG", mode))
    self.assertAllClose(image, pixels, atol=10)

  @parameterized.parameters("JPEG", "PNG")
  def test_grey_scale_has_three_equal_channels(self, file_format):
    encoded = _encoded(_smooth(40, 50), file_format, "L")
    image = image_processing.decode_image(encoded, file_format.lower())
    self.assertEqual(image.shape, [40, 50, 3])
    self.assertAllEqual(image[..., 0], image[..., 1])
    self.assertAllEqual(image[..., 0], image[..., 2])

  def test_other_formats_are_refused(self):
    with self.assertRaisesWithLiteralMatch(
        ValueError, "Invalid image format: gif"
    ):
      image_processing.decode_image(b"", "gif")


class DistortColorsTest(tf.test.TestCase, parameterized.TestCase):

  @parameterized.named_parameters(*_EVERY_WAY)
  def test_equals_numpy(self, run):
    pixels = _noise(9, 8)
    distorted = run(
        lambda thread_id, seed: image_processing.distort_colors(
            tf.constant(pixels / 255, tf.float32),
            thread_id=thread_id,
            seed=seed,
        ),
        tf.constant(_THREAD_IDS),
        tf.constant(_SEEDS, tf.int64),
    )
    for image, thread_id, seed in zip(
        distorted, _THREAD_IDS, _SEEDS, strict=True
    ):
      expected = _expected_distortion(
          pixels / 255, thread_id=thread_id, seeds=_split(seed, 4)
      )
      self.assertAllClose(image, expected, rtol=0, atol=2e-6)

  def test_the_order_depends_on_the_parity_of_the_thread(self):
    image = tf.constant(_noise(9, 8) / 255, tf.float32)
    distorted = [
        image_processing.distort_colors(image, thread_id=t, seed=[1, 2])
        for t in range(4)
    ]
    self.assertAllEqual(distorted[0], distorted[2])
    self.assertAllEqual(distorted[1], distorted[3])
    self.assertNotAllClose(distorted[0], distorted[1])


class ProcessImageTest(tf.test.TestCase, parameterized.TestCase):

  @parameterized.named_parameters(*_EVERY_WAY)
  def test_evaluation_equals_numpy(self, run):
    pixels = _noise(30, 41)
    images = run(
        lambda encoded: image_processing.process_image(
            encoded,
            is_training=False,
            height=299,
            width=299,
            image_format="png",
        ),
        tf.constant([_encoded(pixels)]),
    )
    expected = numpy_images.resize(pixels / 255, 346, 346)[23:322, 23:322]
    self.assertEqual(images[0].dtype, tf.float32)
    self.assertAllClose(images[0], (expected - 0.5) * 2, rtol=0, atol=1e-5)

  @parameterized.named_parameters(*_EVERY_WAY)
  def test_training_equals_numpy(self, run):
    pixels = _noise(30, 41)
    encoded = _encoded(pixels)
    images = run(
        lambda thread_id, seed: _process_png(
            encoded,
            is_training=True,
            crop=(16, 16),
            resize=(20, 20),
            thread_id=thread_id,
            seed=seed,
        ),
        tf.constant(_THREAD_IDS),
        tf.constant(_SEEDS, tf.int64),
    )
    for image, thread_id, seed in zip(images, _THREAD_IDS, _SEEDS, strict=True):
      expected = _expected_training_image(
          pixels, size=16, resize=20, thread_id=thread_id, seed=seed
      )
      self.assertEqual(image.shape, [16, 16, 3])
      self.assertAllClose(image, expected, rtol=0, atol=1e-5)

  def test_a_jpeg_at_the_default_sizes(self):
    encoded = _encoded(_smooth(120, 90), "JPEG")
    seed = tf.constant([1, 2], tf.int64)
    pixels = image_processing.decode_image(encoded).numpy()
    image = image_processing.process_image(
        encoded, is_training=True, height=299, width=299, seed=seed
    )
    expected = _expected_training_image(
        pixels, size=299, resize=346, thread_id=0, seed=seed
    )
    self.assertAllClose(image, expected, rtol=0, atol=1e-5)

  def test_upscaling_samples_as_tensorflow_1_did(self):
    # The two columns, black and white, are columns 0 and 2 of four. The last
    # one is repeated.
    pixels = np.array([[[0] * 3, [255] * 3]], np.uint8)
    image = _process_png(
        _encoded(pixels), is_training=False, crop=(1, 4), resize=(1, 4)
    )
    self.assertAllClose(image[0, :, 0], [-1, 0, 1, 1])

  def test_no_resizing_crops_the_centre(self):
    pixels = _noise(6, 8)
    image = _process_png(
        _encoded(pixels), is_training=False, crop=(4, 4), resize=(0, 0)
    )
    self.assertAllClose(image, pixels[1:5, 2:6] / 127.5 - 1, atol=1e-6)

  def test_the_seed_decides_every_draw(self):
    encoded = _encoded(_smooth(40, 50))
    first, again, other = (
        _process_png(
            encoded,
            is_training=True,
            crop=(16, 16),
            resize=(20, 20),
            seed=seed,
        )
        for seed in ([1, 2], [1, 2], [1, 3])
    )
    self.assertAllEqual(first, again)
    self.assertNotAllClose(first, other)

  def test_training_needs_a_seed(self):
    with self.assertRaisesRegex(ValueError, "needs a seed"):
      image_processing.process_image(b"", is_training=True, height=1, width=1)

  def test_resizing_one_side_only_is_refused(self):
    with self.assertRaisesRegex(ValueError, "both be 0.*Got: 0 and 346"):
      image_processing.process_image(
          b"", is_training=False, height=1, width=1, resize_height=0
      )


if __name__ == "__main__":
  tf.test.main()
