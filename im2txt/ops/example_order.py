"""Defines the order in which a training run uses its examples.

    files -> shuffle -> sort by length -> this process's rows -> examples

The order is that of a whole run, from its first step on. `inputs`,
`feature_inputs` and the search for a corrupt record can start anywhere in it,
all in the same steps:

    files, local_order = example_order.split_files(files, order)
    dataset = tfrecords.read_epochs(
        files, start=example_order.start_of_window(local_order), ...
    )
    dataset = example_order.bucket_by_length(dataset, local_order, lengths)
    dataset = example_order.keep_own_rows(dataset, local_order)

With `bucket_batches`, the captions of a batch have similar lengths:

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
from typing import Any

import tensorflow as tf


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
  """One process's part of each batch; by default, the whole batch.

  Attributes:
    index: Number of the process, from 0.
    count: Number of processes, which share each batch evenly.
    num_devices: Number of devices of each process, which share the process's
      rows evenly.
    by_record: Whether each process reads all files even if there are enough
      files to give each process its own.
  """

  index: int = 0
  count: int = 1
  num_devices: int = 1
  by_record: bool = False

  def device_batch_size(self, batch_size: int) -> int:
    """Returns the number of rows of a batch per device.

    Args:
      batch_size: Number of rows of the batch that all processes share.

    Returns:
      The number of rows.

    Raises:
      ValueError: If the batch cannot be shared evenly.
    """
    num_replicas = self.count * self.num_devices
    if batch_size % num_replicas:
      raise ValueError(
          f"batch_size is that of all {num_replicas} replicas together, so it"
          f" must be a multiple of {num_replicas}. Got: {batch_size}."
      )
    return batch_size // num_replicas

  def local_batch_size(self, batch_size: int) -> int:
    """Returns the number of rows of a batch per process.

    Args:
      batch_size: Number of rows of the batch that all processes share.

    Returns:
      The number of rows.

    Raises:
      ValueError: If the batch cannot be shared evenly.
    """
    return self.device_batch_size(batch_size) * self.num_devices


# The shard of a single process with one device.
WHOLE = Shard()


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOrder:
  """The order of training examples, and where in it to start.

  Attributes:
    batch_size: Number of examples per batch, over all processes and devices.
      Batches span epoch boundaries.
    seed: Seed for the order, which depends on nothing else.
    start_example: Number of examples of the run to skip, over all processes;
      those of the steps that have been made.
    shuffle_buffer_size: Number of examples in the shuffle buffer.
    bucket_batches: Number of batches per window of `bucket_by_length`.
    shard: The part of each batch that this process makes.
  """

  batch_size: int
  seed: int
  start_example: int = 0
  shuffle_buffer_size: int = 1024
  bucket_batches: int = 1
  shard: Shard = WHOLE

  @property
  def device_batch_size(self) -> int:
    """The number of examples of a batch per device."""
    return self.shard.device_batch_size(self.batch_size)

  @property
  def local_batch_size(self) -> int:
    """The number of examples of a batch that this process makes."""
    return self.shard.local_batch_size(self.batch_size)

  @property
  def local_start(self) -> int:
    """The number of examples to skip, counted among those of this process.

    Raises:
      ValueError: If several processes would start within a batch.
    """
    if self.shard.count == 1:
      return self.start_example
    if self.start_example % self.batch_size:
      raise ValueError(
          f"The start must be a multiple of {self.batch_size}, the batch size."
          f" Got: {self.start_example}."
      )
    return self.start_example // self.batch_size * self.local_batch_size

  def global_index(self, local_index: tf.Tensor) -> tf.Tensor:
    """Returns the number in the run of an example of this process.

    Args:
      local_index: An int64 Tensor; the number of the example among those of
        this process.

    Returns:
      An int64 Tensor of the same shape.
    """
    rows = self.local_batch_size
    first = local_index // rows * self.batch_size + self.shard.index * rows
    return first + local_index % rows


def split_files(
    files: Sequence[str], order: TrainingOrder
) -> tuple[Sequence[str], TrainingOrder]:
  """Gives each process its own files, if there are enough of them.

  Args:
    files: Names of the files of all processes.
    order: The order of the run.

  Returns:
    files: Names of the files that this process reads.
    local_order: The order in which this process reads them. A process with its
      own files reads them like a run of its own, with smaller batches; for a
      process that reads all files it is `order`.

  Raises:
    ValueError: If several processes would start within a batch, or cannot share
      batches evenly.
  """
  shard = order.shard
  local_start = order.local_start
  if shard.count == 1 or shard.by_record or len(files) < shard.count:
    return files, order
  local_order = dataclasses.replace(
      order,
      batch_size=order.local_batch_size,
      start_example=local_start,
      shard=WHOLE,
  )
  return files[shard.index :: shard.count], local_order


def start_of_window(order: TrainingOrder) -> int:
  """Returns the example from which `bucket_by_length` has to read.

  Args:
    order: The order in which this process reads.

  Returns:
    The number in `order` of the first example of the window that contains its
    `start_example`; `start_example` itself if there are no windows.
  """
  return order.start_example - order.start_example % _window_size(order)


def bucket_by_length(
    dataset: tf.data.Dataset,
    order: TrainingOrder,
    lengths: Callable[[Any], tf.Tensor],
) -> tf.data.Dataset:
  """Reorders examples so that the captions of a batch have similar lengths.

  Args:
    dataset: An infinite Dataset of examples, from `start_of_window(order)` on.
    order: The order in which this process reads. With one batch per window,
      examples keep their order.
    lengths: Function that returns the caption lengths of a batch of examples as
      an integer Tensor of shape [num_examples].

  Returns:
    An infinite Dataset of the examples from `order.start_example` on, to be cut
    into batches of `order.batch_size`. Components of different shapes are
    padded.
  """
  window_size = _window_size(order)
  if window_size == 1:
    return dataset
  first_window, skipped = divmod(order.start_example, window_size)

  @tf.autograph.experimental.do_not_convert
  def reorder(index: tf.Tensor, window: Any) -> Any:
    by_length = tf.argsort(lengths(window), stable=True)
    batches = tf.random.experimental.stateless_shuffle(
        tf.reshape(by_length, [order.bucket_batches, order.batch_size]),
        seed=tf.stack([order.seed, index]),
    )
    positions = tf.reshape(batches, [window_size])
    return tf.nest.map_structure(lambda t: tf.gather(t, positions), window)

  return (
      dataset.padded_batch(window_size, drop_remainder=True)
      .enumerate(first_window)
      .map(reorder)
      .unbatch()
      .skip(skipped)
  )


def keep_own_rows(
    dataset: tf.data.Dataset, order: TrainingOrder
) -> tf.data.Dataset:
  """Keeps this process's rows of each batch.

  Args:
    dataset: A Dataset of examples, from `order.start_example` on.
    order: The order in which this process reads.

  Returns:
    A Dataset of the examples that this process makes batches of; `dataset`
    itself if it reads no others.
  """
  if order.shard.count == 1:
    return dataset
  rows = order.local_batch_size
  return (
      dataset.enumerate(order.start_example)
      .filter(
          lambda row, _: row % order.batch_size // rows == order.shard.index
      )
      .map(lambda _, example: example)
  )


def _window_size(order: TrainingOrder) -> int:
  """Returns the number of examples per window; 1 if none are reordered."""
  if order.bucket_batches == 1:
    return 1
  return order.batch_size * order.bucket_batches
