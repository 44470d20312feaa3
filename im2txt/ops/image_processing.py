"""Preprocesses encoded images for the encoder.

    JPEG or PNG -> resize to 346 x 346 -> crop to 299 x 299 -> [-1, 1]

In training, the crop is random, half the images are mirrored, and the colours
are distorted. Otherwise, the crop is the central one. Images are stretched to
the square, not padded: the aspect ratio is not kept.

All random numbers depend on the seed alone, so that a resumed run distorts
images exactly as an uninterrupted run does.
"""

import tensorflow as tf

# Ranges of the distortions of the released model: of brightness (added to
# values in [0, 1]), hue (as a fraction of the colour circle), saturation and
# contrast.
_MAX_BRIGHTNESS_DELTA = 32 / 255
_MAX_HUE_DELTA = 0.032
_LOWEST_FACTOR, _HIGHEST_FACTOR = 0.5, 1.5


def decode_image(
    encoded_image: tf.Tensor | bytes, image_format: str = "jpeg"
) -> tf.Tensor:
  """Decodes an image; converts greyscale and CMYK to RGB.

  JPEGs are decoded with the fast integer transform, as in the training of the
  released models. It deviates by up to three levels from the exact transform
  that, for example, Pillow uses.

  Args:
    encoded_image: A scalar string Tensor; the contents of an image file.
    image_format: Format of the file, "jpeg" or "png".

  Returns:
    A uint8 Tensor of shape [height, width, 3].

  Raises:
    ValueError: If `image_format` is not one of these.
  """
  if image_format == "jpeg":
    return tf.io.decode_jpeg(
        encoded_image, channels=3, dct_method="INTEGER_FAST"
    )
  if image_format == "png":
    return tf.io.decode_png(encoded_image, channels=3)
  raise ValueError(f"Invalid image format: {image_format}")


def decode_any_image(
    encoded_image: tf.Tensor | bytes, image_format: str = "jpeg"
) -> tf.Tensor:
  """Decodes an image, also a BMP or the first frame of a GIF.

  Args:
    encoded_image: A scalar string Tensor; the contents of an image file.
    image_format: Format of the file if it is neither BMP nor GIF; "jpeg" or
      "png".

  Returns:
    A uint8 Tensor of shape [height, width, 3].
  """
  start = tf.strings.substr(encoded_image, 0, 2)
  return tf.cond(
      tf.reduce_any(tf.equal(start, [b"GI", b"BM"])),
      lambda: tf.io.decode_image(
          encoded_image, channels=3, expand_animations=False
      ),
      lambda: decode_image(encoded_image, image_format),
  )


def distort_colors(
    image: tf.Tensor, *, thread_id: int | tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
  """Distorts brightness, saturation, hue and contrast at random.

  The distortions do not commute, and two orders are used. Even threads adjust
  the contrast last, odd threads before saturation and hue.

  Args:
    image: A float32 Tensor of shape [height, width, 3] in [0, 1].
    thread_id: A scalar integer Tensor; its parity decides the order.
    seed: An integer Tensor of shape [2]; the seed for all random numbers.

  Returns:
    A float32 Tensor of the shape of `image` in [0, 1].
  """
  brightness_seed, contrast_seed, saturation_seed, hue_seed = tf.unstack(
      tf.random.split(seed, 4)
  )

  def adjust_contrast(image: tf.Tensor) -> tf.Tensor:
    return tf.image.stateless_random_contrast(
        image, _LOWEST_FACTOR, _HIGHEST_FACTOR, contrast_seed
    )

  def adjust_saturation_and_hue(image: tf.Tensor) -> tf.Tensor:
    image = tf.image.stateless_random_saturation(
        image, _LOWEST_FACTOR, _HIGHEST_FACTOR, saturation_seed
    )
    return tf.image.stateless_random_hue(image, _MAX_HUE_DELTA, hue_seed)

  image = tf.image.stateless_random_brightness(
      image, _MAX_BRIGHTNESS_DELTA, brightness_seed
  )
  image = tf.cond(
      tf.equal(tf.convert_to_tensor(thread_id) % 2, 0),
      lambda: adjust_contrast(adjust_saturation_and_hue(image)),
      lambda: adjust_saturation_and_hue(adjust_contrast(image)),
  )
  return tf.clip_by_value(image, 0.0, 1.0)


def process_image(
    encoded_image: tf.Tensor | bytes,
    *,
    is_training: bool,
    height: int,
    width: int,
    resize_height: int = 346,
    resize_width: int = 346,
    thread_id: int | tf.Tensor = 0,
    image_format: str = "jpeg",
    seed: tf.Tensor | None = None,
) -> tf.Tensor:
  """Decodes, resizes, crops and, in training, distorts one image.

  Args:
    encoded_image: A scalar string Tensor; the contents of an image file.
    is_training: Whether to crop, mirror and distort at random.
    height: Height of the result in pixels.
    width: Width of the result in pixels.
    resize_height: Height before the crop in pixels. If both this and
      `resize_width` are 0, the image is cropped without resizing.
    resize_width: Width before the crop in pixels.
    thread_id: A scalar integer Tensor; see `distort_colors`.
    image_format: Format of the file, "jpeg" or "png".
    seed: An integer Tensor of shape [2]; the seed for all random numbers.
      Required in training and otherwise ignored.

  Returns:
    A float32 Tensor of shape [height, width, 3] in [-1, 1].

  Raises:
    ValueError: If `image_format` is unknown, `seed` is missing in training, or
      only one of `resize_height` and `resize_width` is 0.
  """
  if is_training and seed is None:
    raise ValueError("Training distorts images at random and needs a seed.")
  if bool(resize_height) != bool(resize_width):
    raise ValueError(
        "resize_height and resize_width must both be 0, or neither. Got:"
        f" {resize_height} and {resize_width}."
    )
  image = decode_image(encoded_image, image_format)
  if not is_training:
    return central_view(
        image,
        height=height,
        width=width,
        resize_height=resize_height,
        resize_width=resize_width,
    )
  image = _resize(image, resize_height, resize_width)
  crop_seed, flip_seed, color_seed = tf.unstack(tf.random.split(seed, 3))
  image = tf.image.stateless_random_crop(image, [height, width, 3], crop_seed)
  image = tf.image.stateless_random_flip_left_right(image, flip_seed)
  image = distort_colors(_to_unit(image), thread_id=thread_id, seed=color_seed)
  return _to_input(image, height, width)


def central_view(
    image: tf.Tensor,
    *,
    height: int,
    width: int,
    resize_height: int,
    resize_width: int,
) -> tf.Tensor:
  """Resizes a decoded image and crops its centre, as outside of training.

  Args:
    image: A uint8 Tensor of shape [any height, any width, 3].
    height: Height of the result in pixels.
    width: Width of the result in pixels.
    resize_height: Height before the crop in pixels; 0 for no resizing.
    resize_width: Width before the crop in pixels; 0 for no resizing.

  Returns:
    A float32 Tensor of shape [height, width, 3] in [-1, 1].
  """
  image = _resize(image, resize_height, resize_width)
  image = tf.image.resize_with_crop_or_pad(image, height, width)
  return _to_input(_to_unit(image), height, width)


def _resize(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
  """Resizes a uint8 image to float32 values in [0, 255].

  With a height of 0, returns the image unchanged. Output pixel i is sampled at
  i * size / new_size of the input, as in TensorFlow 1. This differs by half a
  pixel from `tf.image.resize`.
  """
  if not height:
    return image
  resized = tf.raw_ops.ResizeBilinear(
      images=image[tf.newaxis],
      size=[height, width],
      align_corners=False,
      half_pixel_centers=False,
  )
  return resized[0]


def _to_input(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
  """Scales a float32 image from [0, 1] to [-1, 1] and sets its static shape."""
  return tf.ensure_shape((image - 0.5) * 2.0, [height, width, 3])


def _to_unit(image: tf.Tensor) -> tf.Tensor:
  """Scales an image from [0, 255] to float32 values in [0, 1]."""
  return tf.cast(image, tf.float32) * (1 / 255)
