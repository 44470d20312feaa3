"""The records of image features that were computed before.

While the encoder is frozen, an image's features are the same at every step, so
they are computed once, for several random crops and distortions ("views") of
each image. A record is a SequenceExample of one distinct image:

    context:       image/image_id       int64
                   image/features       bytes each, the values of one view,
                                        little-endian; the first view is that
                                        of evaluation
                   image/feature_dtype  bytes, "float16" or "float32"
    feature_lists: image/caption_ids    int64 lists, one of each caption

All records of a data set have the same number of views, feature size and type.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from im2txt.ops import tfrecords

_IMAGE_ID = "image/image_id"
_FEATURES = "image/features"
_DTYPE = "image/feature_dtype"
_CAPTION_IDS = "image/caption_ids"

_DTYPES = ("float16", "float32")


class FeatureLayout(NamedTuple):
  """What the features of each record are.

  Attributes:
    num_views: How many views of each image there are.
    feature_size: How many values a view has.
    dtype: "float16" or "float32", as they are stored.
  """

  num_views: int
  feature_size: int
  dtype: str


def serialize_feature_example(
    image_id: int, features: np.ndarray, captions: Sequence[Sequence[int]]
) -> bytes:
  """Makes the record of one image.

  Args:
    image_id: The image's id.
    features: A float16 or float32 array of shape [num_views, feature_size].
    captions: The word ids of each caption, with start and end word.

  Returns:
    A serialized SequenceExample.

  Raises:
    ValueError: If `features` has another type or shape.
  """
  dtype = features.dtype.name
  if dtype not in _DTYPES or features.ndim != 2:
    raise ValueError(
        "Features must be a float16 or float32 array of shape [num_views,"
        f" feature_size]. Got: {dtype} of shape {list(features.shape)}."
    )
  little_endian = features.astype(features.dtype.newbyteorder("<"))
  example = tf.train.SequenceExample()
  context = example.context.feature
  context[_IMAGE_ID].int64_list.value.append(image_id)
  context[_FEATURES].bytes_list.value.extend(v.tobytes() for v in little_endian)
  context[_DTYPE].bytes_list.value.append(dtype.encode())
  for caption in captions:
    feature = example.feature_lists.feature_list[_CAPTION_IDS].feature.add()
    feature.int64_list.value.extend(caption)
  return example.SerializeToString()


def read_layout(files: Sequence[str]) -> FeatureLayout:
  """Returns the layout of a data set, from its first record.

  Args:
    files: Names of TFRecord files that hold cached features.

  Returns:
    What all their records must have.

  Raises:
    ValueError: If there is no record, or the first is no record of features.
  """
  for file in files:
    try:
      for serialized in tf.data.TFRecordDataset(file).take(1):
        return _layout(serialized, file)
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
      raise tfrecords.CorruptRecordError(file, 0, error) from None
  raise ValueError(f"These files hold no record: {', '.join(files)}.")


def are_features(files: Sequence[str]) -> bool:
  """Returns whether files hold cached features, by their first record.

  Args:
    files: Names of TFRecord files.

  Returns:
    False too if they have no record, or none that can be read.
  """
  try:
    read_layout(files)
  except ValueError:
    return False
  return True


def parse_feature_examples(
    serialized: tf.Tensor, layout: FeatureLayout
) -> tuple[tf.Tensor, tf.RaggedTensor]:
  """Reads the undecoded views and all captions of several images.

  Args:
    serialized: A string Tensor of shape [batch_size].
    layout: What the records must have.

  Returns:
    views: A string Tensor of shape [batch_size, num_views], for
      `decode_features`.
    captions: An int64 RaggedTensor of shape [batch_size, (num_captions),
      (length)].
  """
  context, sequences, _ = tf.io.parse_sequence_example(
      serialized,
      context_features={
          _FEATURES: tf.io.FixedLenFeature([layout.num_views], tf.string)
      },
      sequence_features={_CAPTION_IDS: tf.io.RaggedFeature(tf.int64)},
  )
  captions = sequences[_CAPTION_IDS]
  tfrecords.require_words(captions.values.row_lengths(), _CAPTION_IDS)
  return context[_FEATURES], captions


def decode_features(views: tf.Tensor, layout: FeatureLayout) -> tf.Tensor:
  """Decodes views to their values.

  Args:
    views: A string Tensor of any shape.
    layout: What the views must have.

  Returns:
    A float32 Tensor of shape [..., feature_size].
  """
  # Cast at once: oneDNN reports an error for any other operation on float16
  # values where the processor computes without them.
  values = tf.cast(
      tf.io.decode_raw(views, tf.as_dtype(layout.dtype)), tf.float32
  )
  return tf.ensure_shape(values, [*views.shape, layout.feature_size])


def parse_feature_example(
    serialized: tf.Tensor, layout: FeatureLayout
) -> tuple[tf.Tensor, tf.RaggedTensor]:
  """Reads the features and all captions of one image.

  Args:
    serialized: A scalar string Tensor.
    layout: What the record must have.

  Returns:
    features: A float32 Tensor of shape [num_views, feature_size].
    captions: An int64 RaggedTensor of shape [num_captions, (length)].
  """
  views, captions = parse_feature_examples(serialized[tf.newaxis], layout)
  return decode_features(views[0], layout), captions[0]


def _layout(serialized: tf.Tensor, file: str) -> FeatureLayout:
  """Returns the layout of a record."""
  context, _ = tf.io.parse_single_sequence_example(
      serialized,
      context_features={
          _FEATURES: tf.io.RaggedFeature(tf.string),
          _DTYPE: tf.io.FixedLenFeature([], tf.string, default_value=""),
      },
  )
  views, dtype = context[_FEATURES], context[_DTYPE].numpy().decode()
  if dtype not in _DTYPES or not views.shape[0]:
    raise ValueError(
        f"{file} holds no cached features, or they are not of a known type"
        f" ({' or '.join(_DTYPES)}). Got: {_DTYPE} {dtype!r}."
    )
  num_bytes = int(tf.strings.length(views[0]))
  return FeatureLayout(
      num_views=views.shape[0],
      feature_size=num_bytes // np.dtype(dtype).itemsize,
      dtype=dtype,
  )
