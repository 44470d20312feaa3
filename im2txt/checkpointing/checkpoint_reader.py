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
    for suffixes, what in _OTHER_FILES:
      if checkpoint.endswith(suffixes):
        raise ValueError(f"{checkpoint} is {what}") from error
    # What the reader raises for files that are damaged or cut short, but also
    # if all that is there is the index.
    is_missing = "No such file" in str(error)
    raise (FileNotFoundError if is_missing else ValueError)(
        f"The checkpoint {checkpoint} can't be read: {error}"
    ) from error
