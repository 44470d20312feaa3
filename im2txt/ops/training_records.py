"""The order in which training uses the records of image-caption pairs."""

from collections.abc import Sequence
import functools

import tensorflow as tf

from im2txt.ops import length_buckets
from im2txt.ops import records
from im2txt.ops import shards


def training_records(
    files: Sequence[str],
    *,
    batch_size: int,
    seed: int,
    start_example: int = 0,
    shuffle_buffer_size: int = 1024,
    bucket_batches: int = 1,
    caption_feature: str = "image/caption_ids",
    shard: shards.Shard = shards.WHOLE,
) -> tf.data.Dataset:
  """The records in the order in which `inputs.training_batches` uses them.

  Args:
    files: Names of TFRecord files.
    batch_size: Examples in a batch, of all processes together.
    seed: Decides the order, alone.
    start_example: How many examples of the run to leave out, of all processes.
    shuffle_buffer_size: How many records to shuffle among.
    bucket_batches: How many batches to sort by length among each other; see
      `length_buckets`.
    caption_feature: The feature list that holds the word ids.
    shard: Which part of each batch this process makes.

  Returns:
    An infinite Dataset of `records.Record`, those of the shard.
  """

  def lengths(window: records.Record) -> tf.Tensor:
    ids = tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True)
    *_, num_ids = tf.io.parse_sequence_example(
        window.serialized, sequence_features={caption_feature: ids}
    )
    return num_ids[caption_feature]

  def ordered(
      files: Sequence[str], batch_size: int, start: int
  ) -> tf.data.Dataset:
    return length_buckets.bucketed(
        functools.partial(
            records.shuffled,
            files,
            read=records.read,
            count=records.count_records,
            seed=seed,
            buffer_size=shuffle_buffer_size,
        ),
        lengths=lengths,
        batch_size=batch_size,
        num_batches=bucket_batches,
        seed=seed,
        start=start,
    )

  return shard.own_elements(
      files, ordered, batch_size=batch_size, start=start_example
  )
