"""Reads images without captions, each distinct image once per epoch.

    TFRecords -> first record of each image -> shuffle -> image -> ImageBatch

As in `inputs` and `feature_inputs`, batches never end, and the seed decides
their images, the order of these and their distortions. Images with different
ids are distinct.
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
  """A batch of images with their ids.

  Attributes:
    images: A float32 Tensor of shape [batch_size, height, width, 3], or of
      shape [batch_size, feature_size] if they are the encoder's features.
    image_ids: An int64 Tensor of shape [batch_size].
  """

  images: tf.Tensor
  image_ids: tf.Tensor


class Order(NamedTuple):
  """The files to read images from, their order, and where in it to start.

  Attributes:
    files: Names of TFRecord files.
    is_first: Whether a record is the first of its image, for each record of the
      files in order; all other records are skipped.
    batch_size: Number of images per batch; batches span epoch boundaries.
    seed: Seed for the order, which depends on nothing else.
    start_step: Number of batches of the run to skip.
    shuffle_buffer_size: Number of records in the shuffle buffer.
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
    preprocess: inputs.PreprocessFn,
    num_preprocess_threads: int = 4,
    image_feature: str = inputs.IMAGE_FEATURE,
    caption_feature: str = inputs.CAPTION_FEATURE,
) -> tf.data.Dataset:
  """Returns endless shuffled batches of distorted images.

  Args:
    order: Order of the images in files of image-caption pairs.
    preprocess: Function that decodes and distorts an image; see
      `inputs.PreprocessFn`.
    num_preprocess_threads: Number of preprocessing threads of the original; see
      `inputs.training_batches`.
    image_feature: Name of the context feature that contains the encoded image.
    caption_feature: Name of the feature list that contains the word ids.

  Returns:
    An infinite Dataset of `ImageBatch`.
  """

  @tf.autograph.experimental.do_not_convert
  def parse_and_distort(index: tf.Tensor, serialized: tf.Tensor):
    encoded_image, _ = inputs.parse_sequence_example(
        serialized,
        image_feature=image_feature,
        caption_feature=caption_feature,
    )
    image = preprocess(
        encoded_image,
        is_training=True,
        thread_id=index % num_preprocess_threads,
        seed=tf.stack([order.seed, index]),
    )
    return ImageBatch(image, _image_ids(serialized))

  dataset = _first_records(order)
  dataset = dataset.enumerate(order.start_step * order.batch_size)
  dataset = dataset.map(
      parse_and_distort,
      num_parallel_calls=tf.data.AUTOTUNE,
      deterministic=True,
  )
  dataset = dataset.batch(order.batch_size, drop_remainder=True)
  return dataset.prefetch(_BATCHES_AHEAD)


def training_feature_batches(
    order: Order, *, feature_size: int
) -> tf.data.Dataset:
  """Returns endless shuffled batches of a random view of each image.

  Args:
    order: Order of the images in files of cached features.
    feature_size: Number of features per image that the decoder takes.

  Returns:
    An infinite Dataset of `ImageBatch` with features as images.

  Raises:
    ValueError: If the records cannot be used; see `feature_inputs.read_layout`.
  """
  decode = feature_inputs.random_view_decoder(order.files, feature_size)

  @tf.autograph.experimental.do_not_convert
  def choose_views(step: tf.Tensor, serialized: tf.Tensor):
    seed = tf.stack([order.seed, step * order.batch_size])
    return ImageBatch(decode(serialized, seed), _image_ids(serialized))

  dataset = _first_records(order)
  dataset = dataset.batch(order.batch_size, drop_remainder=True)
  dataset = dataset.enumerate(order.start_step)
  return dataset.map(choose_views).prefetch(_BATCHES_AHEAD)


def _first_records(order: Order) -> tf.data.Dataset:
  """Returns the first record of each image as a shuffled, endless Dataset.

  Args:
    order: Order of the images.

  Returns:
    An infinite Dataset of serialized records, scalar string Tensors.
  """
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

  return tfrecords.read_epochs(
      order.files,
      read_file=read_first,
      seed=order.seed,
      start=order.start_step * order.batch_size,
      epoch_size=sum(order.is_first),
      buffer_size=order.shuffle_buffer_size,
  )


def _image_ids(serialized: tf.Tensor) -> tf.Tensor:
  """Returns the image ids of serialized records, int64 of the same shape."""
  id_feature = {_IMAGE_ID: tf.io.FixedLenFeature([], tf.int64)}
  context, *_ = tf.io.parse_sequence_example(
      tf.reshape(serialized, [-1]), context_features=id_feature
  )
  return tf.reshape(context[_IMAGE_ID], serialized.shape)
