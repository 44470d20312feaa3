"""Turns an encoded image into the encoder's input.

    JPEG or PNG -> resize to 346 x 346 -> crop to 299 x 299 -> [-1, 1]

In training the crop is a random one, half the images are mirrored, and the
colours are distorted; otherwise the crop is the central one. Images are
stretched to the square, not padded: the aspect ratio is not kept.

Every random draw is a function of the seed alone, so that a run that resumes
sees the very images that the uninterrupted run would have seen.
"""

import tensorflow as tf

# The ranges of the released model's distortions of brightness (added to
# values in [0, 1]), hue (turns of the colour circle), saturation and contrast.
_MAX_BRIGHTNESS_DELTA = 32 / 255
_MAX_HUE_DELTA = 0.032
_LOWEST_FACTOR, _HIGHEST_FACTOR = 0.5, 1.5


def decode_image(
    encoded_image: tf.Tensor | bytes, image_format: str = "jpeg"
) -> tf.Tensor:
  """Decodes an image to its pixels; grey-scale and CMYK come out as RGB.

  JPEGs are decoded with the integer transform that the released models were
  trained with. It is up to three levels off the exact one that, for example,
  Pillow uses.

  Args:
    encoded_image: A scalar string Tensor, a whole image file.
    image_format: "jpeg" or "png".

  Returns:
    A uint8 Tensor of shape [height, width, 3].

  Raises:
    ValueError: If `image_format` is another one.
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
  """As `decode_image`, but takes BMPs and, of their first picture, GIFs too.

  Args:
    encoded_image: A scalar string Tensor, a whole image file.
    image_format: "jpeg" or "png"; how to decode files of these two formats.

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

  The distortions don't commute; even threads adjust the contrast last, odd
  ones before saturation and hue, so half the images go each way.

  Args:
    image: A float32 Tensor of shape [height, width, 3], values in [0, 1].
    thread_id: A scalar integer; its parity chooses the order.
    seed: An integer Tensor of shape [2]; fixes every draw.

  Returns:
    A float32 Tensor of the shape of `image`, values in [0, 1].
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
    encoded_image: A scalar string Tensor, a whole image file.
    is_training: Whether to crop, mirror and distort at random.
    height: Height of the result.
    width: Width of the result.
    resize_height: Height before the crop; 0, with `resize_width` 0, crops the
      image at the size it has.
    resize_width: Width before the crop.
    thread_id: A scalar integer; see `distort_colors`.
    image_format: "jpeg" or "png".
    seed: An integer Tensor of shape [2] that fixes every random draw. Required
      in training and otherwise ignored.

  Returns:
    A float32 Tensor of shape [height, width, 3], values in [-1, 1].

  Raises:
    ValueError: If `image_format` is unknown, `seed` is missing, or only one
      of the sizes to resize to is 0.
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
  """Returns what is seen of a decoded image when not in training.

  Args:
    image: A uint8 Tensor of shape [any height, any width, 3].
    height: See `process_image`, also for the other arguments.
    width: Width of the result.
    resize_height: Height before the crop.
    resize_width: Width before the crop.

  Returns:
    A float32 Tensor of shape [height, width, 3], values in [-1, 1].
  """
  image = _resize(image, resize_height, resize_width)
  image = tf.image.resize_with_crop_or_pad(image, height, width)
  return _to_input(_to_unit(image), height, width)


def _resize(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
  """Resizes a uint8 image; values stay in [0, 255] but become float32.

  With a height of 0 the image stays as it is. Output pixel i lies at
  i * size / new_size of the input, the sampling of TensorFlow 1, which is half
  a pixel off that of `tf.image.resize`.
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
  """Scales a float32 image of [0, 1] to [-1, 1]; its shape becomes known."""
  return tf.ensure_shape((image - 0.5) * 2.0, [height, width, 3])


def _to_unit(image: tf.Tensor) -> tf.Tensor:
  """Scales an image of [0, 255] to float32 values in [0, 1]."""
  return tf.cast(image, tf.float32) * (1 / 255)
