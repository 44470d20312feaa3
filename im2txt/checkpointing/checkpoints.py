"""The values of checkpoints, by the names of variables.

Variables go by the names of the released model (`InceptionV3/...`,
`lstm/basic_lstm_cell/kernel`, ...), so that the original's checkpoints load
here and ours load there. `checkpoint_saver` writes them, `checkpoint_paths`
finds them, `checkpoint_names` knows the older names, `checkpoint_reader` the
older format.
"""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import functools

import numpy as np
import tensorflow as tf

from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoint_reader


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
    optional: Names that the checkpoint may lack.
    averaged: Whether to take the averages of the variables that have one.

  Returns:
    The names that the checkpoint lacked.

  Raises:
    FileNotFoundError: If the checkpoint is not there (any more).
    ValueError: If it is damaged, lacks a variable or, with `averaged`, all
      averages, or has a variable of another shape.
  """
  reader = checkpoint_reader.Reader(checkpoint)
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
    reader: checkpoint_reader.Reader,
    name: str,
    shape: Sequence[int],
    *,
    averaged: bool = False,
) -> np.ndarray:
  """The value of one variable of a model.

  Args:
    reader: Of the checkpoint.
    name: Today's name of the variable.
    shape: Its shape by the model's configuration.
    averaged: Whether to take its average if there is one.

  Returns:
    The value.

  Raises:
    ValueError: If the checkpoint is damaged, lacks the variable, or has one of
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


def _describe_lack(
    lacking: Sequence[str], reader: checkpoint_reader.Reader
) -> str:
  said = checkpoint_names.describe_lack(lacking, reader.shapes)
  return f"The checkpoint {reader.checkpoint} {said}"
