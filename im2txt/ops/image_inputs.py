"""Feeds images alone, each distinct one once an epoch, whatever its captions.

    TFRecords -> first record of each image -> shuffle -> image -> ImageBatch

The contracts are those of `inputs` and `feature_inputs`: batches never end,
and which images they hold, in which order, distorted how, follows from the
seed. Images are told apart by their ids.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from im2txt.ops import feature_inputs
from im2txt.ops import inputs
from im2txt.ops import tfrecords

_IMAGE_ID = "image/image_id"
_BATCHES_AHEAD = 2


class ImageBatch(NamedTuple):
  """Images with their ids.

  Attributes:
    images: A float32 Tensor of shape [batch_size, height, width, 3], or of
      shape [batch_size, feature_size] if they are the encoder's features.
    image_ids: An int64 Tensor of shape [batch_size].
  """

  images: tf.Tensor
  image_ids: tf.Tensor


class Order(NamedTuple):
  """Which images come when.

  Attributes:
    files: Names of TFRecord files.
    is_first: Of each of their records, in order, whether it is the first of its
      image; the others are left out.
    batch_size: Images in a batch; batches span epoch boundaries.
    seed: Decides the order, alone.
    start_step: How many batches of the run to leave out.
    shuffle_buffer_size: How many records to shuffle among.
  """

  files: Sequence[str]
  is_first: Sequence[bool]
  batch_size: int
  seed: int
  start_step: int = 0
  shuffle_buffer_size: int = 1024


def training_image_batches(
    order: Order,
    *,
    process: inputs.ProcessImage,
    num_preprocess_threads: int = 4,
    image_feature: str = inputs.IMAGE_FEATURE,
    caption_feature: str = inputs.CAPTION_FEATURE,
) -> tf.data.Dataset:
  """Batches of distorted images.

  Args:
    order: Of records of image-caption pairs.
    process: See `inputs.ProcessImage`.
    num_preprocess_threads: See `inputs.training_batches`.
    image_feature: See `inputs.parse_sequence_example`.
    caption_feature: See `inputs.parse_sequence_example`.

  Returns:
    An infinite Dataset of `ImageBatch`.
  """

  @tf.autograph.experimental.do_not_convert
  def distorted_image(index: tf.Tensor, serialized: tf.Tensor):
    encoded_image, _ = inputs.parse_sequence_example(
        serialized,
        image_feature=image_feature,
        caption_feature=caption_feature,
    )
    image = process(
        encoded_image,
        is_training=True,
        thread_id=index % num_preprocess_threads,
        seed=tf.stack([order.seed, index]),
    )
    return ImageBatch(image, _image_ids(serialized))

  return (
      _first_records(order)
      .enumerate(order.start_step * order.batch_size)
      .map(
          distorted_image,
          num_parallel_calls=tf.data.AUTOTUNE,
          deterministic=True,
      )
      .batch(order.batch_size, drop_remainder=True)
      .prefetch(_BATCHES_AHEAD)
  )


def training_feature_batches(
    order: Order, *, feature_size: int
) -> tf.data.Dataset:
  """Batches of one view of each image.

  Args:
    order: Of records of cached features.
    feature_size: How many features the decoder takes.

  Returns:
    An infinite Dataset of `ImageBatch`, with features as its images.

  Raises:
    ValueError: If the records can't be used; see `feature_inputs.read_layout`.
  """
  decode = feature_inputs.random_view_decoder(order.files, feature_size)

  @tf.autograph.experimental.do_not_convert
  def image_batch(step: tf.Tensor, serialized: tf.Tensor):
    seed = tf.stack([order.seed, step * order.batch_size])
    return ImageBatch(decode(serialized, seed), _image_ids(serialized))

  return (
      _first_records(order)
      .batch(order.batch_size, drop_remainder=True)
      .enumerate(order.start_step)
      .map(image_batch)
      .prefetch(_BATCHES_AHEAD)
  )


def _first_records(order: Order) -> tf.data.Dataset:
  """Returns the first record of each image, shuffled; scalar string Tensors."""
  counts = [tfrecords.count_records([file]) for file in order.files]
  starts = tf.lookup.StaticHashTable(
      tf.lookup.KeyValueTensorInitializer(
          list(order.files), np.cumsum(counts) - counts
      ),
      default_value=-1,
  )
  is_first = tf.constant(order.is_first)

  def read_first(file: tf.Tensor) -> tf.data.Dataset:
    start = starts[file]
    return (
        tfrecords.read(file)
        .filter(lambda record: is_first[start + record.number])
        .map(lambda record: record.serialized)
    )

  return tfrecords.shuffled(
      order.files,
      read=read_first,
      count=lambda files: sum(order.is_first),
      seed=order.seed,
      start=order.start_step * order.batch_size,
      buffer_size=order.shuffle_buffer_size,
  )


def _image_ids(serialized: tf.Tensor) -> tf.Tensor:
  """Returns the image ids of records, int64 of the same shape."""
  id_feature = {_IMAGE_ID: tf.io.FixedLenFeature([], tf.int64)}
  context, *_ = tf.io.parse_sequence_example(
      tf.reshape(serialized, [-1]), context_features=id_feature
  )
  return tf.reshape(context[_IMAGE_ID], serialized.shape)
