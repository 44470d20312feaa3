"""Checkpoints by variable name, and the configuration beside them.

A model's folder holds `model.ckpt-N.{index,data-00000-of-00001}`, the index
file `checkpoint` and `config.json`. Variables go by the names of the released
model (`InceptionV3/...`, `lstm/basic_lstm_cell/kernel`, ...), so that the
original's load here and ours load there. `checkpoint_saver` writes them,
`checkpoint_names` knows the older names, `checkpoint_reader` the older format.
"""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import os
import re
from typing import Any

from absl import logging
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoint_reader
from im2txt.runtime import cloud_file

CONFIG_FILE = "config.json"
_WILDCARDS = frozenset("*?[")
_FILE_SUFFIXES = (".index", ".meta", ".data-00000-of-00001")
# A checkpoint by its index or, if it is of 2016's format, its only file.
_NUMBERED_CHECKPOINT = re.compile(r"(.+\.ckpt-(\d+))(\.index)?")


def find(path: str) -> str:
  """The checkpoint at a path that a user gave.

  Args:
    path: A checkpoint (`.../model.ckpt-2000000`, or one of its files), or a
      folder, whose newest checkpoint is taken; see `find_latest`.

  Returns:
    The checkpoint's path, without suffix.

  Raises:
    FileNotFoundError: If there is none.
  """
  if tf.io.gfile.isdir(path):
    checkpoint = find_latest(path)
    if checkpoint is None:
      raise FileNotFoundError(f"No checkpoint found in folder: {path}")
    return checkpoint
  for suffix in ("", *_FILE_SUFFIXES):
    prefix = path.removesuffix(suffix)
    if exists(prefix):
      return prefix
  raise FileNotFoundError(f"No checkpoint found at: {path}")


def find_all(patterns: str) -> dict[str, str]:
  """The checkpoints that a user lists.

  Args:
    patterns: Separated by commas: what `find` takes, or patterns of
      checkpoints, such as "train/model.ckpt-*", taken in the order of their
      steps.

  Returns:
    By name, the checkpoints' paths without suffix, each once, in that order.
    Names are without folders where this tells them apart.

  Raises:
    FileNotFoundError: If there is none to one of the patterns.
  """
  paths: dict[str, None] = {}
  for pattern in filter(None, map(str.strip, patterns.split(","))):
    if not _WILDCARDS.intersection(pattern):
      paths[find(pattern)] = None
      continue
    files = tf.io.gfile.glob(f"{pattern}*")
    matches = filter(None, map(_NUMBERED_CHECKPOINT.fullmatch, files))
    found = sorted({(int(match[2]), match[1]) for match in matches})
    if not found:
      raise FileNotFoundError(f"No checkpoint matches the pattern: {pattern}")
    paths |= dict.fromkeys(path for _, path in found)
  names = [os.path.basename(path) for path in paths]
  is_unique = len(set(names)) == len(names)
  return dict(zip(names if is_unique else paths, paths, strict=True))


def find_latest(folder: str) -> str | None:
  """The newest checkpoint of a folder, as its file `checkpoint` says.

  Args:
    folder: A folder, which may have been moved since the checkpoint was
      written, or not exist. If there is no file `checkpoint` in it, as in many
      a download, the checkpoint of the highest step in a name is taken.

  Returns:
    The checkpoint's path, without suffix; None if the folder has no checkpoint.

  Raises:
    FileNotFoundError: If the `checkpoint` file names checkpoints of which none
      is there.
  """
  return next(iter(find_listed(folder)), None)


def find_listed(folder: str) -> list[str]:
  """Like `find_latest`, all that are there, the newest first."""
  try:
    state = tf.train.get_checkpoint_state(folder)
  except ValueError:
    state = None  # An empty file.
  if state is None:
    return _find_by_name(folder)
  named = [
      state.model_checkpoint_path,
      *reversed(state.all_model_checkpoint_paths),
  ]
  moved = [os.path.join(folder, os.path.basename(path)) for path in named]
  paths = [p if exists(p) else m for p, m in zip(named, moved, strict=True)]
  found = list(dict.fromkeys(filter(exists, paths)))
  if not found:
    raise FileNotFoundError(
        f"The file {os.path.join(folder, 'checkpoint')} names {named[0]}, but"
        " no such checkpoint is there."
    )
  return found


def _find_by_name(folder: str) -> list[str]:
  if not tf.io.gfile.isdir(folder):
    return []
  names = map(_NUMBERED_CHECKPOINT.fullmatch, tf.io.gfile.listdir(folder))
  steps = {os.path.join(folder, n[1]): int(n[2]) for n in names if n}
  paths = sorted(steps, key=steps.__getitem__, reverse=True)
  if paths:
    logging.info("No file `checkpoint` in %s: taking %s", folder, paths[0])
  return paths


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


def save_config(
    folder: str,
    model: configuration.ModelConfig,
    training: configuration.TrainingConfig,
) -> None:
  """Writes `config.json` of a folder, whole or not at all."""
  path = os.path.join(folder, CONFIG_FILE)
  cloud_file.write(configuration.to_json(model, training).encode(), path)


def load_config(
    path: str,
) -> tuple[configuration.ModelConfig, configuration.TrainingConfig]:
  """The configuration that a model was trained with.

  Args:
    path: The model's folder, or a checkpoint in it.

  Returns:
    The configurations saved beside the model. If there are none, the defaults,
    which are the released model's, with the sizes of the vocabulary, the
    embedding and the LSTM as the checkpoint has them.

  Raises:
    ValueError: If the file does not hold a configuration, or the checkpoint is
      damaged.
  """
  folders = [path, os.path.dirname(path)]
  for file in (os.path.join(folder, CONFIG_FILE) for folder in folders):
    if tf.io.gfile.exists(file):
      with tf.io.gfile.GFile(file) as opened:
        text = opened.read()
      try:
        return configuration.from_json(text)
      except ValueError as error:
        raise ValueError(f"{file} can't be used: {error}") from error
  sizes = _sizes(path)
  if sizes:
    text = ", ".join(f"{name}={size}" for name, size in sizes.items())
    logging.info("No %s: the checkpoint's shapes say %s", CONFIG_FILE, text)
  return (
      dataclasses.replace(configuration.ModelConfig(), **sizes),
      configuration.TrainingConfig(),
  )


def _describe_lack(
    lacking: Sequence[str], reader: checkpoint_reader.Reader
) -> str:
  said = checkpoint_names.describe_lack(lacking, reader.shapes)
  return f"The checkpoint {reader.checkpoint} {said}"


def _sizes(path: str) -> dict[str, Any]:
  try:
    return checkpoint_names.sizes(checkpoint_reader.shapes(find(path)))
  except FileNotFoundError:
    return {}  # A new model's folder.


def exists(prefix: str) -> bool:
  """Whether there is a checkpoint of today's format, or of 2016's one file."""
  return tf.io.gfile.exists(prefix + ".index") or (
      tf.io.gfile.exists(prefix)
      and not tf.io.gfile.isdir(prefix)
      and not prefix.endswith(_FILE_SUFFIXES)
  )
