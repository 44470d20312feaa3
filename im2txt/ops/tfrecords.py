"""Reads TFRecord files: counts, shuffles and checks their records.

The order of an epoch depends only on the seed and the number of the epoch. So a
run resumes with exactly the next record, whatever the number of threads and
without saved state.
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

# Files that are interleaved. Enough to mix records that were shuffled when they
# were written.
_FILES_AT_ONCE = 8

# Counting waits for the disk, not for the processor.
_COUNTING_THREADS = 8

# Around the bytes of each record stand its length and two checksums.
_LENGTH_BYTES = 8
_FRAME_BYTES = 16

_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})", re.DOTALL)

_UNREADABLE = "its checksum is wrong, or the file is cut short"


class Record(NamedTuple):
  """A record and its place in the data set.

  Attributes:
    serialized: A scalar string Tensor; the bytes of the record.
    file: A scalar string Tensor; the name of the file that contains the record.
    number: A scalar int64 Tensor; 0 for the first record of the file.
  """

  serialized: tf.Tensor
  file: tf.Tensor
  number: tf.Tensor


class CorruptRecordError(ValueError):
  """A record that cannot be used.

  Attributes:
    file: Name of the file that contains the record.
    number: Number of the record in its file, from 0.
  """

  def __init__(self, file: str, number: int, reason: str | tf.errors.OpError):
    if isinstance(reason, tf.errors.OpError):
      reason = _reason(reason)
    if reason == _UNREADABLE and number == 0:
      reason += ", or it is not a TFRecord file"
    super().__init__(
        f"Record {number} of {file} (the first is 0) can't be used: {reason}."
        " Make this file again, or leave it out."
    )
    self.file = file
    self.number = number


class ShardName(NamedTuple):
  """The parts of a file name such as data/train-00000-of-00256.

  Attributes:
    data_set: The name without the suffix, such as data/train.
    num_shards: The number of shards of the data set.
  """

  data_set: str
  num_shards: int


def shard_name(file: str) -> ShardName | None:
  """Parses the name of a file; None if it is not the name of a shard."""
  match = _SHARD.fullmatch(file)
  return ShardName(match[1], int(match[2])) if match else None


def read(file: str | tf.Tensor) -> tf.data.Dataset:
  """Returns the records of a file, in order, as a Dataset of `Record`."""
  return (
      tf.data.TFRecordDataset(file)
      .enumerate()
      .map(lambda number, serialized: Record(serialized, file, number))
  )


def count_records(files: Sequence[str]) -> int:
  """Counts records; in local files, without reading their contents.

  Args:
    files: Names of TFRecord files.

  Returns:
    The number of records in all files together.

  Raises:
    CorruptRecordError: If a file ends within a record.
  """
  with futures.ThreadPoolExecutor(_COUNTING_THREADS) as pool:
    return sum(pool.map(_count_records, files))


def read_epochs(
    files: Sequence[str],
    *,
    read_file: Callable[[tf.Tensor], tf.data.Dataset],
    seed: int,
    start: int,
    epoch_size: int,
    buffer_size: int,
) -> tf.data.Dataset:
  """Reads files epoch after epoch, each time in another random order.

  Each epoch shuffles the files, interleaves a few of them at a time, and
  shuffles their elements within a buffer.

  Args:
    files: Names of TFRecord files.
    read_file: Function that returns a Dataset of the elements of one file, each
      a Tensor or a tuple of Tensors.
    seed: Seed for the order, which depends on nothing else.
    start: Number of elements to skip, which may be more than an epoch.
    epoch_size: Number of elements in all files; not used if `start` is 0.
    buffer_size: Number of elements in the shuffle buffer.

  Returns:
    An infinite Dataset of the elements.

  Raises:
    ValueError: If all files are empty.
  """
  # Epochs without elements would follow one another for ever.
  if not any(tf.io.gfile.stat(file).length for file in files):
    raise ValueError(f"These files hold no record: {', '.join(files)}.")
  first_epoch, skipped = divmod(start, epoch_size) if start else (0, 0)

  @tf.autograph.experimental.do_not_convert
  def read_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
    shuffled_files = tf.random.experimental.stateless_shuffle(
        tf.constant(files), seed=tf.stack([seed, epoch])
    )
    elements = tf.data.Dataset.from_tensor_slices(shuffled_files).interleave(
        read_file,
        cycle_length=min(_FILES_AT_ONCE, len(files)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return _shuffle(elements, buffer_size, seed, epoch)

  epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
  return epochs.flat_map(read_epoch).skip(skipped)


def find_corrupt_record(
    files: Sequence[str],
    check: Callable[[tf.Tensor], object],
    suspects: tf.data.Dataset | None = None,
) -> CorruptRecordError | None:
  """Finds the record that made reading fail.

  The error that TensorFlow raises does not name the file.

  Args:
    files: Names of TFRecord files.
    check: Function of a serialized record that uses it as the failed reader
      did. An InvalidArgumentError means that the record is corrupt.
    suspects: A finite Dataset of `Record` to check before all others, since
      `check` may be slow.

  Returns:
    The error to raise, or None if no record is corrupt.
  """
  # Traced once, not once per file.
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
  # The checksums come first, since checking them is as fast as the disk.
  for file_check in (tf.strings.length, check):
    for file in files:
      number, error = _first_error(tf.data.TFRecordDataset(file), file_check)
      if error:
        return CorruptRecordError(file, number, error)
  return None


def require(condition: tf.Tensor, message: str) -> tf.Operation | None:
  """Declares a record corrupt unless a condition holds.

  Args:
    condition: A scalar bool Tensor.
    message: Description of what is wrong if `condition` is false.

  Returns:
    An operation for `tf.control_dependencies` that fails with an
    InvalidArgumentError if `condition` is false. None when executed eagerly,
    where the error is raised at once.
  """
  return tf.debugging.Assert(condition, [message])


def require_words(lengths: tf.Tensor, feature: str) -> tf.Operation | None:
  """Declares a record corrupt unless its captions have two words or more.

  Args:
    lengths: An integer Tensor of any shape; the number of word ids of each
      caption, start and end word included.
    feature: Name of the feature that contains the captions, for the message.

  Returns:
    An operation, as `require` does.
  """
  return require(
      tf.reduce_all(lengths >= 2),
      f"a caption, {feature}, has no start and end word",
  )


def _shuffle(
    dataset: tf.data.Dataset, buffer_size: int, seed: int, epoch: tf.Tensor
) -> tf.data.Dataset:
  """Shuffles like `Dataset.shuffle`, but independently of the global seed."""
  specs = tf.nest.flatten(dataset.element_spec)
  variant = tf.raw_ops.ShuffleDataset(
      input_dataset=tf.data.experimental.to_variant(dataset),
      buffer_size=buffer_size,
      seed=seed,
      seed2=epoch + 1,  # If both seeds were 0, the order would be random.
      output_types=[spec.dtype for spec in specs],
      output_shapes=[spec.shape for spec in specs],
      reshuffle_each_iteration=False,
  )
  return tf.data.experimental.from_variant(variant, dataset.element_spec)


def _count_records(file: str) -> int:
  """Counts the records of one file."""
  if "://" in file:  # Seeking would download it repeatedly.
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
  """Returns the number of records before the first error, and that error."""
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
  """Returns the message of an error without names of nodes and iterators."""
  if isinstance(error, tf.errors.DataLossError):
    return _UNREADABLE
  message = re.sub(r"\{\{.*?\}\} ?", "", error.message.partition("\n")[0])
  message = re.sub(r"^.*Iterator::\S+: (Name: <unknown>, )?", "", message)
  message = re.sub(r"^assertion failed: \[(.*)\]$", r"\1", message)
  return message.partition(" [Op:")[0].rstrip(". ")
