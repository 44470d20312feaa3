"""Defines the order in which a run of training uses its examples.

    files -> shuffle -> sort by length -> this process' part -> examples

The order is that of a whole run from its first step on; `inputs`,
`feature_inputs` and the search for a corrupt record start anywhere in it.

With `bucket_batches`, captions of a batch have similar lengths:

    window 0 of 3 batches, by length   3 3 4 | 4 5 5 | 6 8 9
    its batches, shuffled              4 5 5 | 6 8 9 | 3 3 4

Captions are sorted within windows of a few batches, and the batches of a window
are shuffled. So every example still comes once per epoch, moved by at most one
window, and batches contain less padding.

Processes that train together share the files if there are enough of them. With
fewer files than processes, or with `by_record`, every process reads all files
and keeps its rows of each batch, so that all together train on exactly the
batches of a single process:

    batch of 8, 2 processes with 2 devices each    0 1 | 2 3 || 4 5 | 6 7
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

import tensorflow as tf

from im2txt.ops import tfrecords


def bucketed(
    elements_from: Callable[..., tf.data.Dataset],
    *,
    lengths: Callable[[Any], tf.Tensor],
    batch_size: int,
    num_batches: int,
    seed: int,
    start: int,
) -> tf.data.Dataset:
  """Elements in such an order that batches have captions of like length.

  Args:
    elements_from: Gives an infinite Dataset of the elements from number `start`
      on, its keyword argument.
    lengths: Gives the lengths of the captions of a batch of elements; an
      integer Tensor of shape [num_elements].
    batch_size: Elements in a batch.
    num_batches: Batches in a window; with 1 the order stays as it is.
    seed: Decides the order of a window's batches.
    start: How many elements to leave out, in the order that this gives.

  Returns:
    An infinite Dataset of the elements, to be cut into batches. What was of
    different shapes is padded.
  """
  if num_batches == 1:
    return elements_from(start=start)
  window_size = batch_size * num_batches
  first_window, skipped = divmod(start, window_size)

  @tf.autograph.experimental.do_not_convert
  def reorder(index: tf.Tensor, window: Any) -> Any:
    by_length = tf.argsort(lengths(window), stable=True)
    batches = tf.random.experimental.stateless_shuffle(
        tf.reshape(by_length, [num_batches, batch_size]),
        seed=tf.stack([seed, index]),
    )
    order = tf.reshape(batches, [window_size])
    return tf.nest.map_structure(lambda t: tf.gather(t, order), window)

  return (
      elements_from(start=first_window * window_size)
      .padded_batch(window_size, drop_remainder=True)
      .enumerate(first_window)
      .map(reorder)
      .unbatch()
      .skip(skipped)
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
  """A process' part of each batch; by default, all of it.

  Attributes:
    index: The number of the process; the first is 0.
    count: The number of processes, which share a batch evenly.
    num_parts: Batches into which a process cuts its rows of a batch, one for
      each of its devices.
    by_record: Whether each process reads all files even if there are enough
      of them.
  """

  index: int = 0
  count: int = 1
  num_parts: int = 1
  by_record: bool = False

  def part_size(self, batch_size: int) -> int:
    """Returns the rows that each device takes of a batch.

    Args:
      batch_size: Rows of the batch that all processes share.

    Returns:
      The number of rows.

    Raises:
      ValueError: If the devices can't share the batch evenly.
    """
    num_parts = self.count * self.num_parts
    if batch_size % num_parts:
      raise ValueError(
          f"batch_size is that of all {num_parts} replicas together, so it must"
          f" be a multiple of {num_parts}. Got: {batch_size}."
      )
    return batch_size // num_parts

  def rows(self, batch_size: int) -> int:
    """Returns the rows of a batch that this process makes."""
    return self.part_size(batch_size) * self.num_parts

  def own_start(self, start: int, batch_size: int) -> int:
    """Returns how many rows this process made of the run's first `start`.

    Args:
      start: Of all processes together; a multiple of `batch_size` if there are
        several.
      batch_size: Rows of the batch that all processes share.

    Returns:
      The number of rows.

    Raises:
      ValueError: If a batch would be begun.
    """
    if self.count == 1:
      return start
    if start % batch_size:
      raise ValueError(
          f"The start must be a multiple of {batch_size}, the batch size. Got:"
          f" {start}."
      )
    return start // batch_size * self.rows(batch_size)

  def own_elements(
      self,
      files: Sequence[str],
      elements: Callable[[Sequence[str], int, int], tf.data.Dataset],
      *,
      batch_size: int,
      start: int,
  ) -> tf.data.Dataset:
    """Returns what this process reads, in the order of the run.

    Args:
      files: Names of the files of all processes.
      elements: Gives the infinite Dataset of the elements of files, for a
        number of rows in a batch, from a row on.
      batch_size: Rows of the batch that all processes share.
      start: How many rows of the run to leave out, of all processes; a multiple
        of `batch_size` if there are several.

    Returns:
      A Dataset of this process' elements.

    Raises:
      ValueError: If a batch would be begun.
    """
    own_start = self.own_start(start, batch_size)
    if self.count == 1:
      return elements(files, batch_size, start)
    rows = self.rows(batch_size)
    if self.count <= len(files) and not self.by_record:
      return elements(files[self.index :: self.count], rows, own_start)
    return (
        elements(files, batch_size, start)
        .enumerate(start)
        .filter(lambda row, _: row % batch_size // rows == self.index)
        .map(lambda _, element: element)
    )

  def row_of_run(self, own_row: tf.Tensor, batch_size: int) -> tf.Tensor:
    """Returns which row of the run a row of this process is.

    Args:
      own_row: An int64 Tensor; this process' rows counted alone.
      batch_size: Rows of the batch that all processes share.

    Returns:
      An int64 Tensor of that shape.
    """
    rows = self.rows(batch_size)
    first = own_row // rows * batch_size + self.index * rows
    return first + own_row % rows


# Of the only process, on one device.
WHOLE = Shard()


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOrder:
  """Which examples come when.

  Attributes:
    batch_size: Examples in a batch, of all processes and devices together;
      batches span epoch boundaries.
    seed: Decides the order, alone.
    start_example: How many examples of the run to leave out, of all processes:
      those of the steps that were made before.
    shuffle_buffer_size: How many examples to shuffle among.
    bucket_batches: How many batches to sort by length among each other; see
      `bucketed`.
    shard: Which part of each batch this process makes.
  """

  batch_size: int
  seed: int
  start_example: int = 0
  shuffle_buffer_size: int = 1024
  bucket_batches: int = 1
  shard: Shard = WHOLE

  @property
  def part_size(self) -> int:
    """The examples that each device takes of a batch."""
    return self.shard.part_size(self.batch_size)

  @property
  def own_start(self) -> int:
    """How many examples this process made of those to leave out."""
    return self.shard.own_start(self.start_example, self.batch_size)

  def number_in_run(self, own_number: tf.Tensor) -> tf.Tensor:
    """Returns which example of the run an example of this process is.

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
    """Returns the examples of files in this order.

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
      return bucketed(
          functools.partial(
              tfrecords.shuffled,
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
