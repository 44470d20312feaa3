"""Which part of each training batch a process makes, and of which files.

With fewer files than processes, or if it shall be so, every process reads all
files and keeps its rows of each batch, so that all together train on the very
batches of a single process:

    batch of 8, 2 processes with 2 devices each    0 1 | 2 3 || 4 5 | 6 7

Otherwise each has files of its own, and reads nothing in vain.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses

import tensorflow as tf


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
    """The rows that each device takes of a batch.

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
    """The rows of a batch that this process makes."""
    return self.part_size(batch_size) * self.num_parts

  def own_start(self, start: int, batch_size: int) -> int:
    """How many rows this process made of the run's first `start`.

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
    """What this process reads, in the order of the run.

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
    """Which row of the run a row of this process is.

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
