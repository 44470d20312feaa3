"""Reads, restores and saves checkpoints by the names of variables.

Variables have the names of the released model (`InceptionV3/...`,
`lstm/basic_lstm_cell/kernel`, ...), so checkpoints of the original load here
and vice versa. TensorFlow's reader supports both formats: the single file of
2016, and the current `.index` and `.data-00000-of-00001`. `checkpoint_paths`
finds checkpoints, and `checkpoint_names` has the older names of variables.

A killed run leaves only complete checkpoints. But if the machine loses power,
the last writes of a program may be missing from the disk; then a file can be
empty, truncated, or full of zeros. `find_readable` skips such checkpoints.
"""

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import functools
import glob
import logging as standard_logging
import os

from absl import logging
import numpy as np
import tensorflow as tf

from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoint_paths
from im2txt.runtime import atomic_files
from im2txt.runtime import failed_downloads

_CHECKPOINT_NAME = "model.ckpt"

KERAS_SUFFIXES = (".h5", ".hdf5", ".keras")

# Files that are mistaken for checkpoints, by suffix.
_OTHER_FILES = (
    (
        KERAS_SUFFIXES,
        "a file of Keras, not a checkpoint. To start training from Keras'"
        " Inception v3, use it as --inception_checkpoint_file.",
    ),
    (
        (".pb",),
        "a graph, not a checkpoint. If it is a frozen graph, only captioning"
        " programs such as run_inference can use it.",
    ),
)

# The last bytes of an index, and of a checkpoint of 2016's format.
_TABLE_END = 0xDB4775248B80FB57.to_bytes(8, "little")


def find_readable(folder: str) -> str | None:
  """Returns the newest checkpoint of a folder that is not damaged.

  Training resumes from an earlier checkpoint exactly as it ran before, so only
  time is lost. All values of a checkpoint are read, which verifies checksums.

  Args:
    folder: See `checkpoint_paths.find_latest`.

  Returns:
    The path of the checkpoint, without suffix; None if the folder has none.

  Raises:
    FileNotFoundError: If no checkpoint that the file `checkpoint` names exists.
    ValueError: If all checkpoints are damaged.
  """
  listed = checkpoint_paths.find_listed(folder)
  for checkpoint in listed:
    try:
      check(checkpoint)
      return checkpoint
    except (ValueError, FileNotFoundError) as error:
      logging.warning("Skipping a damaged checkpoint. %s", error)
  if listed:
    raise ValueError(
        f"All checkpoints in {folder} are damaged, such as {listed[0]}. To"
        " start from the beginning, choose another folder or delete this one."
    )
  return None


def global_step(checkpoint: str) -> int:
  """Returns the global step of a checkpoint."""
  return int(read_value(Reader(checkpoint), checkpoint_names.GLOBAL_STEP, []))


def path_of_step(folder: str, step: int) -> str:
  """Returns the path, without suffix, that `Saver` gives a checkpoint."""
  return os.path.join(folder, f"{_CHECKPOINT_NAME}-{step}")


class Saver:
  """Writes the checkpoints of a training run and deletes the oldest ones."""

  def __init__(
      self,
      variables: Mapping[str, tf.Variable],
      folder: str,
      *,
      max_to_keep: int,
  ):
    """Prepares a folder and removes incomplete files of a killed run.

    Args:
      variables: The variables to save, by checkpoint name.
      folder: The path of an existing folder.
      max_to_keep: Number of checkpoints to keep, including those of earlier
        runs.
    """
    self._folder = folder
    with _without_advice():
      self._saver = tf.compat.v1.train.Saver(
          dict(variables),
          max_to_keep=max_to_keep,
          # So the original's code finds them even if the folder is moved.
          save_relative_paths=True,
      )
    # The times do not matter, because no checkpoint is kept for its age.
    self._saver.set_last_checkpoints_with_time(
        [(path, 0.0) for path in checkpoint_paths.find_own(folder)]
    )
    _remove_parts(folder)

  def save(self, step: int) -> str:
    """Writes a checkpoint atomically, then lists it in the file `checkpoint`.

    Args:
      step: The global step, which becomes part of the name.

    Returns:
      The path of the checkpoint, without suffix.

    Raises:
      OSError: If it can't be written, for example because the disk is full; the
        earlier checkpoints are kept.
    """
    path = os.path.join(self._folder, _CHECKPOINT_NAME)
    logging.info("Saving checkpoint to path %s", path)
    try:
      with _without_advice(), atomic_files.errors_name(f"{path}-{step}"):
        return self._saver.save(
            None, path, global_step=step, write_meta_graph=False
        )
    except atomic_files.WriteError as error:
      raise OSError(
          f"The checkpoint {error} The earlier ones are whole; make room, and"
          " start again."
      ) from error

  def remove_all(self) -> None:
    """Removes the checkpoints of the folder and their index file."""
    for checkpoint in self._saver.last_checkpoints:
      for file in tf.io.gfile.glob(f"{glob.escape(checkpoint)}.*"):
        tf.io.gfile.remove(file)
    tf.io.gfile.remove(os.path.join(self._folder, "checkpoint"))


def _remove_parts(folder: str) -> None:
  """Removes files that do not belong to a complete checkpoint.

  The index of a checkpoint is written last and deleted first.
  """
  for name in tf.io.gfile.listdir(folder):
    prefix, _, shard = name.partition(".data-")
    is_part = name.startswith(_CHECKPOINT_NAME) and (
        ".tempstate" in name
        or (shard and not checkpoint_paths.exists(os.path.join(folder, prefix)))
    )
    if is_part or name.startswith("checkpoint.tmp"):
      tf.io.gfile.remove(os.path.join(folder, name))


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
  """Suppresses TensorFlow's advice to use object-based checkpoints."""
  logger = tf.get_logger()
  level = logger.level
  logger.setLevel(standard_logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(level)


class Reader:
  """A reader of single values of a checkpoint.

  Attributes:
    checkpoint: The path of the checkpoint, without suffix.
    shapes: The shapes of all values, by name.
  """

  def __init__(self, checkpoint: str):
    """Opens a checkpoint.

    Args:
      checkpoint: The path of the checkpoint, without suffix.

    Raises:
      FileNotFoundError: If the checkpoint, or one of its files, is missing.
      ValueError: If the checkpoint is damaged.
    """
    self.checkpoint = checkpoint
    with _explained(checkpoint):
      self._reader = tf.train.load_checkpoint(checkpoint)
      self.shapes: Mapping[str, Sequence[int]] = (
          self._reader.get_variable_to_shape_map()
      )

  def value(self, name: str) -> np.ndarray:
    """Returns a value by name; raises the errors of the constructor."""
    with _explained(self.checkpoint):
      return self._reader.get_tensor(name)


def shapes(checkpoint: str) -> Mapping[str, Sequence[int]]:
  """Returns the shapes of all values in a checkpoint.

  Args:
    checkpoint: The path of the checkpoint, without suffix.

  Returns:
    The shapes by name.

  Raises:
    FileNotFoundError: If the checkpoint is missing.
    ValueError: If the checkpoint is damaged.
  """
  return Reader(checkpoint).shapes


def read(checkpoint: str, names: Mapping[str, str]) -> dict[str, np.ndarray]:
  """Returns some of the values in a checkpoint.

  Args:
    checkpoint: The path of the checkpoint, without suffix.
    names: The names in the checkpoint, by the names to return.

  Returns:
    The values by name.

  Raises:
    FileNotFoundError: If the checkpoint is missing.
    ValueError: If the checkpoint is damaged.
  """
  reader = Reader(checkpoint)
  return {name: reader.value(n) for name, n in names.items()}


def check(checkpoint: str) -> None:
  """Reads all values of a checkpoint, which verifies their checksums.

  Args:
    checkpoint: The path of the checkpoint, without suffix.

  Raises:
    FileNotFoundError: If the checkpoint, or one of its files, is missing.
    ValueError: If the checkpoint is damaged.
  """
  reader = Reader(checkpoint)
  for name in reader.shapes:
    reader.value(name)


@contextlib.contextmanager
def _explained(checkpoint: str) -> Iterator[None]:
  """Turns errors of TensorFlow's reader into ones that users can act on."""
  try:
    yield
  except tf.errors.NotFoundError as error:
    raise FileNotFoundError(f"No checkpoint found at: {checkpoint}") from error
  except (tf.errors.OpError, RuntimeError, IndexError) as error:
    if missing := checkpoint_paths.missing_files(checkpoint):
      raise FileNotFoundError(
          checkpoint_paths.describe_missing(checkpoint, missing)
      ) from error
    if fault := _diagnose(checkpoint):
      raise ValueError(fault) from error
    # Training may have just deleted a file that the reader opens.
    is_missing = "No such file" in str(error)
    raise (FileNotFoundError if is_missing else ValueError)(
        f"The checkpoint {checkpoint} can't be read: {error}"
    ) from error


def _diagnose(checkpoint: str) -> str | None:
  """Returns why a checkpoint can't be read, or None if it is unknown."""
  for suffixes, what in _OTHER_FILES:
    if checkpoint.endswith(suffixes):
      return f"{checkpoint} is {what}"
  index = checkpoint + ".index"
  if not tf.io.gfile.exists(index):  # The single file of 2016's format.
    files = [checkpoint]
  else:
    files = [index, *sorted(tf.io.gfile.glob(f"{checkpoint}.data-*"))]
  for file in filter(tf.io.gfile.exists, files):
    if fault := failed_downloads.describe(file):
      return f"{file} {fault}."
  if tf.io.gfile.exists(files[0]) and not _is_table(files[0]):
    return (
        f"{files[0]} is not a file of a checkpoint, or is cut short. Copy or"
        " download it again."
    )
  return None


def _is_table(path: str) -> bool:
  """Returns whether a file ends as TensorFlow's sorted tables do."""
  with tf.io.gfile.GFile(path, "rb") as file:
    file.seek(max(0, file.size() - len(_TABLE_END)))
    return file.read() == _TABLE_END


def restore(
    variables: Mapping[str, tf.Variable],
    checkpoint: str,
    *,
    optional: Collection[str] = (),
    averaged: bool = False,
) -> list[str]:
  """Assigns the values of a checkpoint to variables.

  Args:
    variables: The variables by name. The checkpoint may have others too.
    checkpoint: The path of the checkpoint, without suffix.
    optional: Names that may be missing from the checkpoint.
    averaged: Whether to use the averages of variables that have one.

  Returns:
    The names that are missing from the checkpoint.

  Raises:
    FileNotFoundError: If the checkpoint is missing.
    ValueError: If the checkpoint is damaged, a variable is missing or has
      another shape or, with `averaged`, there are no averages.
  """
  reader = Reader(checkpoint)
  if averaged and not checkpoint_names.has_averages(reader.shapes):
    raise ValueError(
        f"The checkpoint {checkpoint} has no averages of weights, because it"
        " was trained without ema_decay: use --config_overrides=use_ema=false."
    )
  find_name = functools.partial(
      checkpoint_names.stored_name, stored=reader.shapes, averaged=averaged
  )
  present = {name: stored for name in variables if (stored := find_name(name))}
  missing = [name for name in variables if name not in present]
  required = [name for name in missing if name not in optional]
  if required:
    raise ValueError(_describe_missing(required, reader))
  for name, stored in present.items():
    check_shape(name, variables[name].shape, reader.shapes[stored], checkpoint)
  # One by one, so that not all values are in memory twice.
  for name, stored in present.items():
    variable = variables[name]
    value = reader.value(stored)
    variable.assign(value.astype(variable.dtype.as_numpy_dtype, copy=False))
  return missing


def read_value(
    reader: Reader,
    name: str,
    shape: Sequence[int],
    *,
    averaged: bool = False,
) -> np.ndarray:
  """Returns the value of one variable of a model.

  Args:
    reader: The reader of the checkpoint.
    name: The current name of the variable.
    shape: The shape of the variable in the model.
    averaged: Whether to use the average of the variable, if there is one.

  Returns:
    The value.

  Raises:
    ValueError: If the checkpoint is damaged, or the variable is missing or has
      another shape.
  """
  stored = checkpoint_names.stored_name(name, reader.shapes, averaged=averaged)
  if stored is None:
    raise ValueError(_describe_missing([name], reader))
  check_shape(name, shape, reader.shapes[stored], reader.checkpoint)
  return reader.value(stored)


def check_shape(
    name: str,
    shape: Sequence[int],
    stored_shape: Sequence[int],
    checkpoint: str,
) -> None:
  """Raises a ValueError if a stored shape is not that of the variable."""
  if list(shape) != list(stored_shape):
    raise ValueError(
        f"The checkpoint {checkpoint} has {name} with shape"
        f" {list(stored_shape)}, but the model's configuration needs"
        f" {list(shape)}; see --config_overrides."
    )


def _describe_missing(missing: Sequence[str], reader: Reader) -> str:
  clause = checkpoint_names.describe_missing(missing, reader.shapes)
  return f"The checkpoint {reader.checkpoint} {clause}"
