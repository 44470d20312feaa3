"""The configuration that a model was trained with, beside its checkpoints."""

import dataclasses
import os
from typing import Any

from absl import logging
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.runtime import cloud_file

CONFIG_FILE = "config.json"


def save(
    folder: str,
    model: configuration.ModelConfig,
    training: configuration.TrainingConfig,
) -> None:
  """Writes `config.json` of a folder, whole or not at all."""
  path = os.path.join(folder, CONFIG_FILE)
  cloud_file.write(configuration.to_json(model, training).encode(), path)


def exists(folder: str) -> bool:
  """Returns whether a folder has a `config.json`."""
  return tf.io.gfile.exists(os.path.join(folder, CONFIG_FILE))


def remove(folder: str) -> None:
  """Removes the `config.json` of a folder, which has one."""
  tf.io.gfile.remove(os.path.join(folder, CONFIG_FILE))


def load(
    path: str, overrides: str = ""
) -> tuple[configuration.ModelConfig, configuration.TrainingConfig]:
  """Returns the configuration that a model was trained with.

  Args:
    path: The model's folder, or a checkpoint in it.
    overrides: As for `configuration.apply_overrides`.

  Returns:
    The configurations saved beside the model. If there are none, the defaults,
    which are the released model's, with the sizes of the vocabulary, the
    embedding and the LSTM as the checkpoint has them. In both the overrides
    hold.

  Raises:
    ValueError: If the file does not hold a configuration, the checkpoint is
      damaged, or the overrides are not right.
  """
  return configuration.apply_overrides(*_load(path), overrides)


def _load(
    path: str,
) -> tuple[configuration.ModelConfig, configuration.TrainingConfig]:
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


def _sizes(path: str) -> dict[str, Any]:
  try:
    return checkpoint_names.sizes(
        checkpoints.shapes(checkpoint_paths.find(path))
    )
  except FileNotFoundError:
    return {}  # A new model's folder.
