"""Checkpoints: values by the names of variables, read, restored and saved.

Variables have the names of the released model (`InceptionV3/...`,
`lstm/basic_lstm_cell/kernel`, ...), so the original's checkpoints load here and
ours load there. TensorFlow's reader knows both formats: the single file of
2016, and today's `.index` and `.data-00000-of-00001`. `checkpoint_paths` finds
checkpoints, `checkpoint_names` knows the older names.

A killed run leaves complete checkpoints only. But what a program wrote last may
not be on disk yet when the machine loses power; then a file can be empty, cut
short, or full of zeros. `find_readable` skips such checkpoints.
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

# What else is given for a checkpoint, by its suffixes.
_OTHER_FILES = (
    (
        KERAS_SUFFIXES,
        "a file of Keras, not a checkpoint. Keras' Inception v3 can be an"
        " encoder's start: --inception_checkpoint_file.",
    ),
    (
        (".pb",),
        "a graph, not a checkpoint. If it is a frozen one, run_inference takes"
        " it, and nothing else.",
    ),
)

# The last bytes of an index, and of a checkpoint of 2016's format.
_TABLE_END = 0xDB4775248B80FB57.to_bytes(8, "little")


def find_readable(folder: str) -> str | None:
  """Returns the newest checkpoint of a folder that is not damaged.

  Training resumes from an earlier one exactly as it did before, so only time is
  lost. All of a checkpoint is read and compared with its checksums.

  Args:
    folder: See `checkpoint_paths.find_latest`.

  Returns:
    The checkpoint's path, without suffix; None if the folder has no checkpoint.

  Raises:
    FileNotFoundError: If the `checkpoint` file names checkpoints of which none
      is there.
    ValueError: If all are damaged.
  """
  listed = checkpoint_paths.find_listed(folder)
  for checkpoint in listed:
    try:
      check(checkpoint)
      return checkpoint
    except (ValueError, FileNotFoundError) as error:
      logging.warning("Passing over a damaged checkpoint. %s", error)
  if listed:
    raise ValueError(
        f"All checkpoints in {folder} are damaged, such as {listed[0]}. To"
        " start from the beginning, choose another folder, or delete it."
    )
  return None


class Saver:
  """Writes the checkpoints of a training run and deletes the oldest ones."""

  def __init__(
      self,
      variables: Mapping[str, tf.Variable],
      folder: str,
      *,
      max_to_keep: int,
  ):
    """Takes over the folder, removing what a killed run left half-written.

    Args:
      variables: What to save, by checkpoint name.
      folder: An existing folder.
      max_to_keep: How many checkpoints to keep, earlier runs' included.
    """
    self._folder = folder
    with _without_advice():
      self._saver = tf.compat.v1.train.Saver(
          dict(variables),
          max_to_keep=max_to_keep,
          # The folder may be moved, and the original's code find them still.
          save_relative_paths=True,
      )
    # Their ages don't matter: none is kept for its age here.
    self._saver.set_last_checkpoints_with_time(
        [(path, 0.0) for path in checkpoint_paths.find_own(folder)]
    )
    _remove_parts(folder)

  def save(self, step: int) -> str:
    """Writes a checkpoint; it appears in the `checkpoint` file when whole.

    Args:
      step: The global step, which becomes part of the name.

    Returns:
      The checkpoint's path, without suffix.

    Raises:
      OSError: If it can't be written, as on a full disk; it is not there then,
        and the earlier ones are.
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
    """Removes the checkpoints that this saver wrote, and the list of them."""
    for checkpoint in self._saver.last_checkpoints:
      for file in tf.io.gfile.glob(f"{glob.escape(checkpoint)}.*"):
        tf.io.gfile.remove(file)
    tf.io.gfile.remove(os.path.join(self._folder, "checkpoint"))


def _remove_parts(folder: str) -> None:
  """Removes what belongs to no whole checkpoint.

  Of a checkpoint, the index is written last and deleted first.
  """
  for name in tf.io.gfile.listdir(folder):
    prefix, _, shard = name.partition(".data-")
    is_half = name.startswith(_CHECKPOINT_NAME) and (
        ".tempstate" in name
        or (shard and not checkpoint_paths.exists(os.path.join(folder, prefix)))
    )
    if is_half or name.startswith("checkpoint.tmp"):
      tf.io.gfile.remove(os.path.join(folder, name))


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
  """Keeps TensorFlow from advising checkpoints without names."""
  logger = tf.get_logger()
  level = logger.level
  logger.setLevel(standard_logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(level)


class Reader:
  """Reads the values of one checkpoint, as they are asked for.

  Attributes:
    checkpoint: The checkpoint's path, without suffix.
    shapes: The shapes of all that it holds, by name.
  """

  def __init__(self, checkpoint: str):
    """Opens the checkpoint.

    Args:
      checkpoint: The checkpoint's path, without suffix.

    Raises:
      FileNotFoundError: If the checkpoint, or a file of it, is not there (any
        more).
      ValueError: If it is damaged.
    """
    self.checkpoint = checkpoint
    with _explained(checkpoint):
      self._reader = tf.train.load_checkpoint(checkpoint)
      self.shapes: Mapping[str, Sequence[int]] = (
          self._reader.get_variable_to_shape_map()
      )

  def value(self, name: str) -> np.ndarray:
    """Returns the value of a name; raises what the constructor does."""
    with _explained(self.checkpoint):
      return self._reader.get_tensor(name)


def shapes(checkpoint: str) -> Mapping[str, Sequence[int]]:
  """Returns the shapes of all that a checkpoint holds.

  Args:
    checkpoint: The checkpoint's path, without suffix.

  Returns:
    The shapes by name.

  Raises:
    FileNotFoundError: If the checkpoint is not there (any more).
    ValueError: If it is damaged.
  """
  return Reader(checkpoint).shapes


def read(checkpoint: str, names: Mapping[str, str]) -> dict[str, np.ndarray]:
  """Returns the values of some of what a checkpoint holds.

  Args:
    checkpoint: The checkpoint's path, without suffix.
    names: The names in the checkpoint by those to return.

  Returns:
    The values by name.

  Raises:
    FileNotFoundError: If the checkpoint is not there (any more).
    ValueError: If it is damaged.
  """
  reader = Reader(checkpoint)
  return {name: reader.value(n) for name, n in names.items()}


def check(checkpoint: str) -> None:
  """Reads all that a checkpoint holds, and compares it with its checksums.

  Args:
    checkpoint: The checkpoint's path, without suffix.

  Raises:
    FileNotFoundError: If the checkpoint, or a file of it, is not there.
    ValueError: If it is damaged.
  """
  reader = Reader(checkpoint)
  for name in reader.shapes:
    reader.value(name)


@contextlib.contextmanager
def _explained(checkpoint: str) -> Iterator[None]:
  """Turns what TensorFlow's reader raises into what a user can act on."""
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
    # The reader may find a file gone that training has just deleted.
    is_missing = "No such file" in str(error)
    raise (FileNotFoundError if is_missing else ValueError)(
        f"The checkpoint {checkpoint} can't be read: {error}"
    ) from error


def _diagnose(checkpoint: str) -> str | None:
  """Returns what is wrong with the files of a checkpoint that can't be read."""
  for suffixes, what in _OTHER_FILES:
    if checkpoint.endswith(suffixes):
      return f"{checkpoint} is {what}"
  index = checkpoint + ".index"
  if not tf.io.gfile.exists(index):  # The one file of 2016's format.
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
    variables: The variables by name. The checkpoint may hold others too.
    checkpoint: The checkpoint's path, without suffix.
    optional: Names that may be missing from the checkpoint.
    averaged: Whether to take the averages of the variables that have one.

  Returns:
    The names that the checkpoint lacked.

  Raises:
    FileNotFoundError: If the checkpoint is not there (any more).
    ValueError: If it is damaged, a variable is missing or, with `averaged`, all
      averages, or has a variable of another shape.
  """
  reader = Reader(checkpoint)
  if averaged and not checkpoint_names.has_averages(reader.shapes):
    raise ValueError(
        f"The checkpoint {checkpoint} has no averages of weights, as training"
        " with ema_decay keeps them: --config_overrides=use_ema=false."
    )
  find_name = functools.partial(
      checkpoint_names.stored_name, stored=reader.shapes, averaged=averaged
  )
  present = {name: stored for name in variables if (stored := find_name(name))}
  missing = [name for name in variables if name not in present]
  lacking = [name for name in missing if name not in optional]
  if lacking:
    raise ValueError(_describe_lack(lacking, reader))
  for name, stored in present.items():
    check_shape(name, variables[name].shape, reader.shapes[stored], checkpoint)
  # One by one, so that the values are not in memory twice.
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
    reader: Of the checkpoint.
    name: Today's name of the variable.
    shape: Its shape by the model's configuration.
    averaged: Whether to take its average if there is one.

  Returns:
    The value.

  Raises:
    ValueError: If the checkpoint is damaged, has no such variable, or one of
      another shape.
  """
  stored = checkpoint_names.stored_name(name, reader.shapes, averaged=averaged)
  if stored is None:
    raise ValueError(_describe_lack([name], reader))
  check_shape(name, shape, reader.shapes[stored], reader.checkpoint)
  return reader.value(stored)


def check_shape(
    name: str,
    shape: Sequence[int],
    stored_shape: Sequence[int],
    checkpoint: str,
) -> None:
  """Raises a ValueError if what is stored doesn't fit a variable's shape."""
  if list(shape) != list(stored_shape):
    raise ValueError(
        f"The checkpoint {checkpoint} has {name} with shape"
        f" {list(stored_shape)}, but the model's configuration makes it"
        f" {list(shape)}; see --config_overrides."
    )


def _describe_lack(lacking: Sequence[str], reader: Reader) -> str:
  said = checkpoint_names.describe_lack(lacking, reader.shapes)
  return f"The checkpoint {reader.checkpoint} {said}"
