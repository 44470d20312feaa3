"""Reads TFRecord files: counts, shuffles by a seed, and checks records.

The order of an epoch depends only on the seed and the epoch's number. So a run
resumes with exactly the next record, whatever the number of threads, without a
saved state.
"""

from collections.abc import Callable
from collections.abc import Sequence
from concurrent import futures
import os
from pathlib import Path
import re
from typing import NamedTuple

from absl import logging
import tensorflow as tf

# Files that are read by turns; enough to mix what was shuffled when written.
_FILES_AT_ONCE = 8

# Counting waits for the disk, not for the processor.
_COUNTING_THREADS = 8

# The bytes around each record: its length and the two checksums.
_LENGTH_BYTES = 8
_FRAME_BYTES = 16

_UNREADABLE = "its checksum is wrong, or the file is cut short"


class Record(NamedTuple):
  """A record and where it comes from.

  Attributes:
    serialized: A scalar string Tensor.
    file: A scalar string Tensor, the name of its file.
    number: A scalar int64 Tensor; 0 for the first record of the file.
  """

  serialized: tf.Tensor
  file: tf.Tensor
  number: tf.Tensor


class CorruptRecordError(ValueError):
  """A record that can't be used, with the name of its file.

  Attributes:
    file: The name of the file.
    number: Which record of the file it is; the first is 0.
  """

  def __init__(self, file: str, number: int, reason: str | tf.errors.OpError):
    if isinstance(reason, tf.errors.OpError):
      reason = _reason(reason)
    if reason == _UNREADABLE and number == 0:
      reason += ", or it is no TFRecord file"
    super().__init__(
        f"Record {number} of {file} (the first is 0) can't be used: {reason}."
        " Make this file again, or leave it out."
    )
    self.file = file
    self.number = number


def read(file: str | tf.Tensor) -> tf.data.Dataset:
  """Returns the records of one file in order: a Dataset of `Record`."""
  return (
      tf.data.TFRecordDataset(file)
      .enumerate()
      .map(lambda number, serialized: Record(serialized, file, number))
  )


def count_records(files: Sequence[str]) -> int:
  """Counts the records of `files`, of local ones without reading them.

  Args:
    files: Names of TFRecord files.

  Returns:
    The number of records in all of them.

  Raises:
    CorruptRecordError: If a file ends within a record.
  """
  with futures.ThreadPoolExecutor(_COUNTING_THREADS) as pool:
    return sum(pool.map(_count_records, files))


def shuffled(
    files: Sequence[str],
    *,
    read: Callable[[tf.Tensor], tf.data.Dataset],
    count: Callable[[Sequence[str]], int],
    seed: int,
    start: int,
    buffer_size: int,
) -> tf.data.Dataset:
  """Returns the shuffled elements of `files`, epoch after epoch.

  Each epoch shuffles the files, reads some of them by turns, and shuffles
  their elements within a buffer.

  Args:
    files: Names of TFRecord files.
    read: Gives a Dataset of the elements of a file; of Tensors, or a tuple.
    count: Counts the elements of the files. Called only if `start` isn't 0.
    seed: Decides the order, alone.
    start: How many elements of the run to leave out; they may be epochs.
    buffer_size: How many elements to shuffle among.

  Returns:
    An infinite Dataset of what `read` gives.

  Raises:
    ValueError: If there is no element in the files.
  """
  # Going round and round without finding an element would never end.
  if not any(tf.io.gfile.stat(file).length for file in files):
    raise ValueError(f"These files hold no record: {', '.join(files)}.")
  first_epoch, skipped = divmod(start, count(files)) if start else (0, 0)

  @tf.autograph.experimental.do_not_convert
  def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
    order = tf.random.experimental.stateless_shuffle(
        tf.constant(files), seed=tf.stack([seed, epoch])
    )
    elements = tf.data.Dataset.from_tensor_slices(order).interleave(
        read,
        cycle_length=min(_FILES_AT_ONCE, len(files)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return _shuffle(elements, buffer_size, seed, epoch)

  epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
  return epochs.flat_map(one_epoch).skip(skipped)


def find_corrupt_record(
    files: Sequence[str],
    check: Callable[[tf.Tensor], object],
    suspects: tf.data.Dataset | None = None,
) -> CorruptRecordError | None:
  """Finds the record that made reading fail, whose error names no file.

  Args:
    files: Names of TFRecord files.
    check: TensorFlow operations that use a serialized record as the failed
      reader did; an InvalidArgumentError means that it is corrupt.
    suspects: A finite Dataset of `Record`; tried before all others, since
      `check` may take long.

  Returns:
    The error to raise, or None if every record is sound.
  """
  # Traced once, not for each file.
  check = tf.function(
      check, input_signature=[tf.TensorSpec([], tf.string)], autograph=False
  )
  if suspects is not None:
    serialized = suspects.map(lambda record: record.serialized)
    number, error = _first_error(serialized, check)
    if isinstance(error, tf.errors.InvalidArgumentError):
      record = next(iter(suspects.skip(number)))
      return CorruptRecordError(
          record.file.numpy().decode(), int(record.number), error
      )
  logging.info("Checking the records of %d files.", len(files))
  # First for bad checksums only, which takes no longer than the disk.
  for file_check in (tf.strings.length, check):
    for file in files:
      number, error = _first_error(tf.data.TFRecordDataset(file), file_check)
      if error:
        return CorruptRecordError(file, number, error)
  return None


def require(condition: tf.Tensor, message: str) -> tf.Operation | None:
  """Makes a record for which `condition`, a bool scalar, is false corrupt.

  Args:
    condition: What has to be true.
    message: What is wrong otherwise.

  Returns:
    What fails if it is false, for `tf.control_dependencies`; None eagerly,
    where an InvalidArgumentError has been raised then.
  """
  return tf.debugging.Assert(condition, [message])


def require_words(lengths: tf.Tensor, feature: str) -> tf.Operation | None:
  """As `require`: that captions have a start and an end word.

  Args:
    lengths: Their numbers of ids; an integer Tensor of any shape.
    feature: Where they are, for the message.

  Returns:
    See `require`.
  """
  return require(
      tf.reduce_all(lengths >= 2),
      f"a caption, {feature}, has no start and end word",
  )


def _shuffle(
    dataset: tf.data.Dataset, buffer_size: int, seed: int, epoch: tf.Tensor
) -> tf.data.Dataset:
  """As `Dataset.shuffle`, whose order depends on the global seed too."""
  specs = tf.nest.flatten(dataset.element_spec)
  variant = tf.raw_ops.ShuffleDataset(
      input_dataset=tf.data.experimental.to_variant(dataset),
      buffer_size=buffer_size,
      seed=seed,
      seed2=epoch + 1,  # Two zeros would mean any order.
      output_types=[spec.dtype for spec in specs],
      output_shapes=[spec.shape for spec in specs],
      reshuffle_each_iteration=False,
  )
  return tf.data.experimental.from_variant(variant, dataset.element_spec)


def _count_records(file: str) -> int:
  if "://" in file:  # Seeking would fetch the file more than once.
    count, error = _first_error(
        tf.data.TFRecordDataset(file), tf.strings.length
    )
    if error:
      raise CorruptRecordError(file, count, error)
    return count
  count = offset = 0
  with Path(file).open("rb", buffering=0) as records_file:
    end = records_file.seek(0, os.SEEK_END)
    while offset < end:
      length = os.pread(records_file.fileno(), _LENGTH_BYTES, offset)
      offset += int.from_bytes(length, "little") + _FRAME_BYTES
      count += 1
  if offset > end:
    raise CorruptRecordError(file, count - 1, _UNREADABLE)
  return count


def _first_error(
    serialized: tf.data.Dataset, check: Callable[[tf.Tensor], object]
) -> tuple[int, tf.errors.OpError | None]:
  """Returns how many records are sound, and the error of the one after them."""
  count = 0
  checked = serialized.map(
      check, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
  )
  try:
    for _ in checked:
      count += 1
  except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
    return count, error
  return count, None


def _reason(error: tf.errors.OpError) -> str:
  """Returns what an error says, without the names of nodes and iterators."""
  if isinstance(error, tf.errors.DataLossError):
    return _UNREADABLE
  message = re.sub(r"\{\{.*?\}\} ?", "", error.message.partition("\n")[0])
  message = re.sub(r"^.*Iterator::\S+: (Name: <unknown>, )?", "", message)
  message = re.sub(r"^assertion failed: \[(.*)\]$", r"\1", message)
  return message.partition(" [Op:")[0].rstrip(". ")
