"""The order in which a run of training uses its examples.

    files -> shuffle -> sort by length -> this process' part -> examples

It is that of a run from its first step on, whoever reads it from where: of
`inputs`, of `cached_features`, and of the search for a corrupt record.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

import tensorflow as tf

from im2txt.ops import length_buckets
from im2txt.ops import records
from im2txt.ops import shards


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOrder:
  """Which examples come when.

  Attributes:
    batch_size: Examples in a batch, of all processes and devices together;
      batches go on across epochs.
    seed: Decides the order, alone.
    start_example: How many examples of the run to leave out, of all processes:
      those of the steps that were made before.
    shuffle_buffer_size: How many examples to shuffle among.
    bucket_batches: How many batches to sort by length among each other; see
      `length_buckets`.
    shard: Which part of each batch this process makes.
  """

  batch_size: int
  seed: int
  start_example: int = 0
  shuffle_buffer_size: int = 1024
  bucket_batches: int = 1
  shard: shards.Shard = shards.WHOLE

  @property
  def part_size(self) -> int:
    """The examples that each device takes of a batch."""
    return self.shard.part_size(self.batch_size)

  @property
  def own_start(self) -> int:
    """How many examples this process made of those to leave out."""
    return self.shard.own_start(self.start_example, self.batch_size)

  def number_in_run(self, own_number: tf.Tensor) -> tf.Tensor:
    """Which example of the run an example of this process is.

    Args:
      own_number: An int64 Tensor; this process' examples counted alone.

    Returns:
      An int64 Tensor of that shape.
    """
    return self.shard.row_of_run(own_number, self.batch_size)

  def examples(
      self,
      files: Sequence[str],
      *,
      read: Callable[[tf.Tensor], tf.data.Dataset],
      count: Callable[[Sequence[str]], int],
      lengths: Callable[[Any], tf.Tensor],
  ) -> tf.data.Dataset:
    """The examples of files in this order.

    Args:
      files: Names of the files of all processes.
      read: Gives a Dataset of the examples of a file.
      count: Counts the examples of files.
      lengths: Gives the lengths of the captions of a batch of examples; an
        integer Tensor of shape [num_examples].

    Returns:
      An infinite Dataset of this process' examples.

    Raises:
      ValueError: If there is no example, or a batch would be begun or can't be
        shared evenly.
    """

    def ordered(
        files: Sequence[str], batch_size: int, start: int
    ) -> tf.data.Dataset:
      return length_buckets.bucketed(
          functools.partial(
              records.shuffled,
              files,
              read=read,
              count=count,
              seed=self.seed,
              buffer_size=self.shuffle_buffer_size,
          ),
          lengths=lengths,
          batch_size=batch_size,
          num_batches=self.bucket_batches,
          seed=self.seed,
          start=start,
      )

    return self.shard.own_elements(
        files, ordered, batch_size=self.batch_size, start=self.start_example
    )
