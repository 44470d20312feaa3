"""Feeds captions with image features that were computed before.

    TFRecords -> parse -> pairs -> shuffle -> one view of each -> Batch

The contracts are those of `inputs`; the records are described in
`feature_records`. Pairs of one image are shuffled like any others. Their views
stay undecoded until one of each is chosen for a whole batch at once.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools

import numpy as np
import tensorflow as tf

from im2txt.ops import example_order
from im2txt.ops import feature_records
from im2txt.ops import inputs
from im2txt.ops import tfrecords

# Records that are parsed at once: many times faster than one by one.
_RECORDS_AT_ONCE = 64

_BATCHES_AHEAD = 4


def training_feature_batches(
    files: Sequence[str],
    order: example_order.TrainingOrder,
    *,
    feature_size: int,
) -> tf.data.Dataset:
  """Returns endless shuffled batches of a view per image and a caption.

  Args:
    files: Names of TFRecord files that hold cached features.
    order: Of the pairs in them. Its seed decides their views too, which are
      drawn for a whole batch; so it starts with a whole one.
    feature_size: How many features the decoder takes.

  Returns:
    An infinite Dataset of `inputs.Batch`, with features as its images; one for
    each part of the order's shard.

  Raises:
    ValueError: If the order would begin a batch, or the records can't be used;
      see `feature_records.read_layout`.
  """
  if order.start_example % order.batch_size:
    raise ValueError(
        f"start_example must be a multiple of {order.batch_size}, the batch"
        f" size. Got: {order.start_example}."
    )
  layout = _checked_layout(files, feature_size)
  part_size = order.part_size

  @tf.autograph.experimental.do_not_convert
  def choose_views(index: tf.Tensor, pairs: tuple[tf.Tensor, ...]):
    views, captions, lengths = pairs
    first = order.number_in_run(index * part_size)
    row = first % order.batch_size
    choice = tf.random.stateless_uniform(
        [order.batch_size],
        tf.stack([order.seed, first - row]),
        maxval=layout.num_views,
        dtype=tf.int32,
    )[row:][:part_size]
    chosen = tf.gather(views, choice, batch_dims=1)
    return inputs.make_batch(
        feature_records.decode_features(chosen, layout), captions, lengths
    )

  return (
      order.examples(
          files,
          read=functools.partial(_read_pairs, layout=layout),
          count=functools.partial(count_pairs, layout=layout),
          lengths=lambda pairs: pairs[2],
      )
      .padded_batch(part_size, drop_remainder=True)
      .enumerate(order.own_start // part_size)
      .map(choose_views)
      .prefetch(_BATCHES_AHEAD)
  )


def evaluation_feature_batches(
    files: Sequence[str], *, feature_size: int, batch_size: int
) -> tf.data.Dataset:
  """Every pair once, by its first view, in the order of the files.

  Args:
    files: Names of TFRecord files that hold cached features.
    feature_size: How many features the decoder takes.
    batch_size: Pairs in a batch; the last may have fewer.

  Returns:
    A finite Dataset of `inputs.Batch`, with features as its images.

  Raises:
    ValueError: If the records can't be used; see `feature_records.read_layout`.
  """
  layout = _checked_layout(files, feature_size)

  @tf.autograph.experimental.do_not_convert
  def first_views(views: tf.Tensor, captions: tf.Tensor, lengths: tf.Tensor):
    features = feature_records.decode_features(views[:, 0], layout)
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
  """Reads the view of evaluation of one image.

  Args:
    files: Names of TFRecord files that hold cached features.
    feature_size: How many features the decoder takes.

  Returns:
    A function of a serialized record, a scalar string Tensor, that returns a
    float32 Tensor of shape [feature_size].

  Raises:
    ValueError: If the records can't be used; see `feature_records.read_layout`.
  """
  layout = _checked_layout(files, feature_size)

  def decode(serialized: tf.Tensor) -> tf.Tensor:
    return feature_records.parse_feature_example(serialized, layout)[0][0]

  return decode


def random_view_decoder(
    files: Sequence[str], feature_size: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
  """Reads one view of each of a batch of images, drawn by a seed.

  Args:
    files: Names of TFRecord files that hold cached features.
    feature_size: How many features the decoder takes.

  Returns:
    A function of serialized records, a string Tensor of shape [batch_size], and
    a seed, an integer Tensor of shape [2], that returns a float32 Tensor of
    shape [batch_size, feature_size].

  Raises:
    ValueError: If the records can't be used; see `feature_records.read_layout`.
  """
  layout = _checked_layout(files, feature_size)

  def decode(serialized: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    views, _ = feature_records.parse_feature_examples(serialized, layout)
    choice = tf.random.stateless_uniform(
        tf.shape(serialized), seed, maxval=layout.num_views, dtype=tf.int32
    )
    chosen = tf.gather(views, choice, batch_dims=1)
    return feature_records.decode_features(chosen, layout)

  return decode


def count_pairs(
    files: Sequence[str], layout: feature_records.FeatureLayout
) -> int:
  """Counts the captions of all images, by reading the files.

  Args:
    files: Names of TFRecord files that hold cached features.
    layout: What their records must have.

  Returns:
    The number of pairs of an image and a caption.

  Raises:
    CorruptRecordError: If a record can't be used.
  """
  try:
    return int(_caption_counts(files, layout).reduce(np.int64(0), tf.add))
  except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
    raise find_corrupt_record(files) or error from None


def check_captions(files: Sequence[str]) -> None:
  """Raises an error if cached features have no caption to train with.

  As soon as there is one, nothing more is read.

  Args:
    files: Names of TFRecord files that hold cached features.

  Raises:
    ValueError: If there is no caption.
    CorruptRecordError: If a record before the first caption can't be used.
  """
  layout = feature_records.read_layout(files)
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
    files: Sequence[str], layout: feature_records.FeatureLayout
) -> tf.data.Dataset:
  """Returns how many captions each few images have, as int64 scalars."""

  @tf.autograph.experimental.do_not_convert
  def num_captions(serialized: tf.Tensor) -> tf.Tensor:
    _, captions = feature_records.parse_feature_examples(serialized, layout)
    return captions.values.nrows(out_type=tf.int64)

  return (
      tf.data.TFRecordDataset(list(files))
      .batch(_RECORDS_AT_ONCE)
      .map(num_captions)
  )


def find_corrupt_record(
    files: Sequence[str],
) -> tfrecords.CorruptRecordError | None:
  """Finds the record that made the batches fail, whose error names no file.

  Args:
    files: Names of TFRecord files that hold cached features.

  Returns:
    The error to raise, or None if every record is sound.
  """
  check = functools.partial(
      feature_records.parse_feature_example,
      layout=feature_records.read_layout(files),
  )
  return tfrecords.find_corrupt_record(files, check)


def _checked_layout(
    files: Sequence[str], feature_size: int
) -> feature_records.FeatureLayout:
  layout = feature_records.read_layout(files)
  if layout.feature_size != feature_size:
    raise ValueError(
        f"The images of {files[0]} have {layout.feature_size} features, but the"
        f" model takes {feature_size}. Cache them with the model's encoder."
    )
  return layout


@tf.autograph.experimental.do_not_convert
def _read_pairs(
    file: tf.Tensor, layout: feature_records.FeatureLayout
) -> tf.data.Dataset:
  """Returns a file's pairs: encoded views, padded caption, length."""

  def pairs(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
    views, captions = feature_records.parse_feature_examples(serialized, layout)
    views_of_pairs = tf.gather(views, captions.value_rowids())
    captions = captions.values
    return views_of_pairs, captions.to_tensor(), captions.row_lengths()

  dataset = tf.data.TFRecordDataset(file).batch(_RECORDS_AT_ONCE)
  return dataset.map(pairs).unbatch()
