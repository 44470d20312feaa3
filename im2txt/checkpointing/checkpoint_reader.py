"""Reads checkpoints of any age by name, saying in words what is wrong.

TensorFlow's reader knows both formats: the one file of 2016, and today's
`.index` and `.data-00000-of-00001`.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib

import numpy as np
import tensorflow as tf

from im2txt.checkpointing import checkpoint_paths
from im2txt.runtime import failed_downloads

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
    """The value of one of `shapes`; raises what the constructor does."""
    with _explained(self.checkpoint):
      return self._reader.get_tensor(name)


def shapes(checkpoint: str) -> Mapping[str, Sequence[int]]:
  """The shapes of all that a checkpoint holds.

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
  """The values of some of what a checkpoint holds.

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
