"""Reads and writes captions with cached image features, and batches them.

    TFRecords -> parse -> pairs -> shuffle -> one view of each -> Batch

While the encoder is frozen, the features of an image are the same at every
step. So they are computed once, for several random crops and distortions
("views") of each image. A record is a SequenceExample of one distinct image:

    context:       image/image_id       int64
                   image/features       bytes, the little-endian values of one
                                        view; repeated. The first view is the
                                        one for evaluation.
                   image/feature_dtype  bytes, "float16" or "float32"
    feature_lists: image/caption_ids    int64 lists, one per caption

All records of a data set have the same number of views, feature size and dtype.

Batches are made as in `inputs`: endless, and decided by the seed, in training;
finite and in order in evaluation. A pair is an image and one of its captions,
and pairs of one image are shuffled like any others. Views stay encoded until
one view per pair is chosen, for a whole batch at once.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from im2txt.ops import example_order
from im2txt.ops import inputs
from im2txt.ops import tfrecords

_IMAGE_ID = "image/image_id"
_FEATURES = "image/features"
_DTYPE = "image/feature_dtype"
_CAPTION_IDS = "image/caption_ids"

_DTYPES = ("float16", "float32")

# Records that are parsed at once, which is many times as fast as one by one.
_RECORDS_AT_ONCE = 64

_BATCHES_AHEAD = 4


class FeatureLayout(NamedTuple):
  """The layout of the features, the same in all records of a data set.

  Attributes:
    num_views: Number of views per image.
    feature_size: Number of values per view.
    dtype: Name of the type of the stored values, "float16" or "float32".
  """

  num_views: int
  feature_size: int
  dtype: str


def serialize_feature_example(
    image_id: int, features: np.ndarray, captions: Sequence[Sequence[int]]
) -> bytes:
  """Serializes the record of one image.

  Args:
    image_id: Id of the image.
    features: A float16 or float32 array of shape [num_views, feature_size].
    captions: Word ids of each caption, start and end word included.

  Returns:
    A serialized SequenceExample.

  Raises:
    ValueError: If `features` has another dtype or rank.
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
    files: Names of TFRecord files of cached features.

  Returns:
    The layout that all records must have.

  Raises:
    ValueError: If there is no record, or the first record does not contain
      cached features or is corrupt.
  """
  for file in files:
    try:
      for serialized in tf.data.TFRecordDataset(file).take(1):
        return _layout(serialized, file)
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
      raise tfrecords.CorruptRecordError(file, 0, error) from None
  raise ValueError(f"These files hold no record: {', '.join(files)}.")


def are_features(files: Sequence[str]) -> bool:
  """Returns whether files contain cached features, from their first record.

  Args:
    files: Names of TFRecord files.

  Returns:
    Whether there is a first record, and it contains cached features and is not
    corrupt.
  """
  try:
    read_layout(files)
  except ValueError:
    return False
  return True


def parse_feature_examples(
    serialized: tf.Tensor, layout: FeatureLayout
) -> tuple[tf.Tensor, tf.RaggedTensor]:
  """Parses the encoded views and all captions of several images.

  Args:
    serialized: A string Tensor of shape [batch_size].
    layout: Layout of the features of the records.

  Returns:
    views: A string Tensor of shape [batch_size, num_views], to be decoded by
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
  """Decodes the features of views.

  Args:
    views: A string Tensor of any shape.
    layout: Layout of the features.

  Returns:
    A float32 Tensor of shape [..., feature_size].
  """
  # Nothing else is computed in float16: oneDNN reports an error for it on
  # processors without float16 arithmetic.
  values = tf.cast(
      tf.io.decode_raw(views, tf.as_dtype(layout.dtype)), tf.float32
  )
  return tf.ensure_shape(values, [*views.shape, layout.feature_size])


def parse_feature_example(
    serialized: tf.Tensor, layout: FeatureLayout
) -> tuple[tf.Tensor, tf.RaggedTensor]:
  """Parses the decoded features and all captions of one image.

  Args:
    serialized: A scalar string Tensor.
    layout: Layout of the features of the record.

  Returns:
    features: A float32 Tensor of shape [num_views, feature_size].
    captions: An int64 RaggedTensor of shape [num_captions, (length)].
  """
  views, captions = parse_feature_examples(serialized[tf.newaxis], layout)
  return decode_features(views[0], layout), captions[0]


def _layout(serialized: tf.Tensor, file: str) -> FeatureLayout:
  """Returns the layout of the features of one record of `file`."""
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


def training_feature_batches(
    files: Sequence[str],
    order: example_order.TrainingOrder,
    *,
    feature_size: int,
) -> tf.data.Dataset:
  """Returns endless shuffled batches of captions, each with a random view.

  Args:
    files: Names of TFRecord files of cached features.
    order: Order of the pairs of a run. Its seed is the seed for the choice of
      views too. Views are drawn for a whole batch, so it must not start within
      a batch.
    feature_size: Number of features per image that the decoder takes.

  Returns:
    An infinite Dataset of `inputs.Batch` with features as images, one per
    device of the order's shard.

  Raises:
    ValueError: If the order starts within a batch, or the records cannot be
      used; see `read_layout`.
  """
  if order.start_example % order.batch_size:
    raise ValueError(
        f"start_example must be a multiple of {order.batch_size}, the batch"
        f" size. Got: {order.start_example}."
    )
  layout = _checked_layout(files, feature_size)
  batch_size = order.device_batch_size

  @tf.autograph.experimental.do_not_convert
  def choose_views(index: tf.Tensor, pairs: tuple[tf.Tensor, ...]):
    views, captions, lengths = pairs
    first = order.global_index(index * batch_size)
    row = first % order.batch_size
    choice = tf.random.stateless_uniform(
        [order.batch_size],
        tf.stack([order.seed, first - row]),
        maxval=layout.num_views,
        dtype=tf.int32,
    )[row:][:batch_size]
    chosen = tf.gather(views, choice, batch_dims=1)
    return inputs.make_batch(decode_features(chosen, layout), captions, lengths)

  dataset = _training_pairs(files, order, layout)
  dataset = dataset.padded_batch(batch_size, drop_remainder=True)
  dataset = dataset.enumerate(order.local_start // batch_size)
  return dataset.map(choose_views).prefetch(_BATCHES_AHEAD)


def evaluation_feature_batches(
    files: Sequence[str], *, feature_size: int, batch_size: int
) -> tf.data.Dataset:
  """Returns batches of every pair once, by its first view, in order.

  Args:
    files: Names of TFRecord files of cached features.
    feature_size: Number of features per image that the decoder takes.
    batch_size: Number of pairs per batch; the last may have fewer.

  Returns:
    A finite Dataset of `inputs.Batch` with features as images.

  Raises:
    ValueError: If the records cannot be used; see `read_layout`.
  """
  layout = _checked_layout(files, feature_size)

  @tf.autograph.experimental.do_not_convert
  def first_views(views: tf.Tensor, captions: tf.Tensor, lengths: tf.Tensor):
    features = decode_features(views[:, 0], layout)
    return inputs.make_batch(features, captions, lengths)

  return (
      tf.data.Dataset.from_tensor_slices(list(files))
      .flat_map(functools.partial(_read_pairs, layout=layout))
      .padded_batch(batch_size)
      .map(first_views)
      .prefetch(_BATCHES_AHEAD)
  )


def first_view_decoder(
    files: Sequence[str], feature_size: int
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function that decodes the first view of one image.

  Args:
    files: Names of TFRecord files of cached features.
    feature_size: Number of features per image that the decoder takes.

  Returns:
    A function of a serialized record, a scalar string Tensor, that returns a
    float32 Tensor of shape [feature_size].

  Raises:
    ValueError: If the records cannot be used; see `read_layout`.
  """
  layout = _checked_layout(files, feature_size)

  def decode(serialized: tf.Tensor) -> tf.Tensor:
    return parse_feature_example(serialized, layout)[0][0]

  return decode


def random_view_decoder(
    files: Sequence[str], feature_size: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
  """Returns a function that decodes a random view of each image of a batch.

  Args:
    files: Names of TFRecord files of cached features.
    feature_size: Number of features per image that the decoder takes.

  Returns:
    A function of serialized records, a string Tensor of shape [batch_size], and
    a seed, an integer Tensor of shape [2], that returns a float32 Tensor of
    shape [batch_size, feature_size].

  Raises:
    ValueError: If the records cannot be used; see `read_layout`.
  """
  layout = _checked_layout(files, feature_size)

  def decode(serialized: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    views, _ = parse_feature_examples(serialized, layout)
    choice = tf.random.stateless_uniform(
        tf.shape(serialized), seed, maxval=layout.num_views, dtype=tf.int32
    )
    chosen = tf.gather(views, choice, batch_dims=1)
    return decode_features(chosen, layout)

  return decode


def count_pairs(files: Sequence[str], layout: FeatureLayout) -> int:
  """Counts the captions of all images by reading all records.

  Args:
    files: Names of TFRecord files of cached features.
    layout: Layout of the features of the records.

  Returns:
    The number of pairs of an image and a caption.

  Raises:
    CorruptRecordError: If a record is corrupt.
  """
  try:
    return int(_caption_counts(files, layout).reduce(np.int64(0), tf.add))
  except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
    raise find_corrupt_record(files) or error from None


def check_captions(files: Sequence[str]) -> None:
  """Checks that cached features have at least one caption to train with.

  Reading ends at the first caption.

  Args:
    files: Names of TFRecord files of cached features.

  Raises:
    ValueError: If there is no caption.
    CorruptRecordError: If a record before the first caption is corrupt.
  """
  layout = read_layout(files)
  try:
    if any(_caption_counts(files, layout).as_numpy_iterator()):
      return
  except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
    raise find_corrupt_record(files) or error from None
  raise ValueError(
      f"The cached features hold no caption: {', '.join(files)}. Cache features"
      " of records that have captions."
  )


def _caption_counts(
    files: Sequence[str], layout: FeatureLayout
) -> tf.data.Dataset:
  """Returns the number of captions per `_RECORDS_AT_ONCE` images, as int64."""

  @tf.autograph.experimental.do_not_convert
  def num_captions(serialized: tf.Tensor) -> tf.Tensor:
    _, captions = parse_feature_examples(serialized, layout)
    return captions.values.nrows(out_type=tf.int64)

  return (
      tf.data.TFRecordDataset(list(files))
      .batch(_RECORDS_AT_ONCE)
      .map(num_captions)
  )


def find_corrupt_record(
    files: Sequence[str],
) -> tfrecords.CorruptRecordError | None:
  """Finds the record that made reading batches fail.

  The error that TensorFlow raises does not name the file.

  Args:
    files: Names of TFRecord files of cached features.

  Returns:
    The error to raise, or None if no record is corrupt.
  """
  check = functools.partial(parse_feature_example, layout=read_layout(files))
  return tfrecords.find_corrupt_record(files, check)


def _checked_layout(files: Sequence[str], feature_size: int) -> FeatureLayout:
  """Returns the layout of a data set; raises if the feature size is another."""
  layout = read_layout(files)
  if layout.feature_size != feature_size:
    raise ValueError(
        f"The images of {files[0]} have {layout.feature_size} features, but the"
        f" model takes {feature_size}. Cache them with the model's encoder."
    )
  return layout


def _training_pairs(
    files: Sequence[str],
    order: example_order.TrainingOrder,
    layout: FeatureLayout,
) -> tf.data.Dataset:
  """Returns the pairs of the order's shard, endlessly; see `_read_pairs`."""
  files, order = example_order.split_files(files, order)
  start = example_order.start_of_window(order)
  dataset = tfrecords.read_epochs(
      files,
      read_file=functools.partial(_read_pairs, layout=layout),
      seed=order.seed,
      start=start,
      # Counting reads the files, so it is done only to resume.
      epoch_size=count_pairs(files, layout) if start else 0,
      buffer_size=order.shuffle_buffer_size,
  )
  dataset = example_order.bucket_by_length(
      dataset, order, lambda pairs: pairs[2]
  )
  return example_order.keep_own_rows(dataset, order)


@tf.autograph.experimental.do_not_convert
def _read_pairs(file: tf.Tensor, layout: FeatureLayout) -> tf.data.Dataset:
  """Returns the pairs of a file: encoded views, padded caption, length."""

  def pairs(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
    views, captions = parse_feature_examples(serialized, layout)
    views_of_pairs = tf.gather(views, captions.value_rowids())
    captions = captions.values
    return views_of_pairs, captions.to_tensor(), captions.row_lengths()

  dataset = tf.data.TFRecordDataset(file).batch(_RECORDS_AT_ONCE)
  return dataset.map(pairs).unbatch()
