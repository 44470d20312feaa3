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

from im2txt.ops import feature_records
from im2txt.ops import inputs
from im2txt.ops import length_buckets
from im2txt.ops import records
from im2txt.ops import shards

# Records that are parsed at once: many times faster than one by one.
_RECORDS_AT_ONCE = 64

_BATCHES_AHEAD = 4


def training_feature_batches(
    files: Sequence[str],
    *,
    feature_size: int,
    batch_size: int,
    seed: int,
    start_example: int = 0,
    shuffle_buffer_size: int = 1024,
    bucket_batches: int = 1,
    shard: shards.Shard = shards.WHOLE,
) -> tf.data.Dataset:
  """Shuffled batches of one view of an image with one caption, for ever.

  Args:
    files: Names of TFRecord files that hold cached features.
    feature_size: How many features the decoder takes.
    batch_size: Pairs in a batch, of all processes and devices together; batches
      go on across epochs.
    seed: Decides the order of the pairs and their views, alone.
    start_example: How many pairs of the run to leave out; a multiple of
      `batch_size`, since views are drawn for a whole batch.
    shuffle_buffer_size: How many pairs to shuffle among.
    bucket_batches: How many batches to sort by length among each other; see
      `length_buckets`.
    shard: Which part of each batch this process makes.

  Returns:
    An infinite Dataset of `inputs.Batch`, with features as its images; one for
    each part of the shard.

  Raises:
    ValueError: If the records can't be used; see `feature_records.read_layout`.
  """
  if start_example % batch_size:
    raise ValueError(
        f"start_example must be a multiple of {batch_size}, the batch size."
        f" Got: {start_example}."
    )
  layout = _checked_layout(files, feature_size)
  part_size = shard.part_size(batch_size)

  def choose_views(index: tf.Tensor, pairs: tuple[tf.Tensor, ...]):
    views, captions, lengths = pairs
    first = shard.row_of_run(index * part_size, batch_size)
    choice = tf.random.stateless_uniform(
        [batch_size],
        tf.stack([seed, first - first % batch_size]),
        maxval=layout.num_views,
        dtype=tf.int32,
    )[first % batch_size :][:part_size]
    chosen = tf.gather(views, choice, batch_dims=1)
    return inputs.make_batch(
        feature_records.decode_features(chosen, layout), captions, lengths
    )

  def ordered(
      files: Sequence[str], batch_size: int, start: int
  ) -> tf.data.Dataset:
    return length_buckets.bucketed(
        functools.partial(
            records.shuffled,
            files,
            read=functools.partial(_read_pairs, layout=layout),
            count=functools.partial(count_pairs, layout=layout),
            seed=seed,
            buffer_size=shuffle_buffer_size,
        ),
        lengths=lambda pairs: pairs[2],
        batch_size=batch_size,
        num_batches=bucket_batches,
        seed=seed,
        start=start,
    )

  own_start = shard.own_start(start_example, batch_size)
  return (
      shard.own_elements(
          files, ordered, batch_size=batch_size, start=start_example
      )
      .padded_batch(part_size, drop_remainder=True)
      .enumerate(own_start // part_size)
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

  def num_captions(serialized: tf.Tensor) -> tf.Tensor:
    _, captions = feature_records.parse_feature_examples(serialized, layout)
    return captions.values.nrows(out_type=tf.int64)

  counts = (
      tf.data.TFRecordDataset(list(files))
      .batch(_RECORDS_AT_ONCE)
      .map(num_captions)
  )
  try:
    return int(counts.reduce(np.int64(0), tf.add))
  except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
    raise find_corrupt_record(files) or error from None


def find_corrupt_record(
    files: Sequence[str],
) -> records.CorruptRecordError | None:
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
  return records.find_corrupt_record(files, check)


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


def _read_pairs(
    file: tf.Tensor, layout: feature_records.FeatureLayout
) -> tf.data.Dataset:
  """The pairs of a file: views still as bytes, padded caption, its length."""

  def pairs(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
    views, captions = feature_records.parse_feature_examples(serialized, layout)
    views_of_pairs = tf.gather(views, captions.value_rowids())
    captions = captions.values
    return views_of_pairs, captions.to_tensor(), captions.row_lengths()

  dataset = tf.data.TFRecordDataset(file).batch(_RECORDS_AT_ONCE)
  return dataset.map(pairs).unbatch()
