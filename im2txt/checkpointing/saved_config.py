"""The configuration of a model, saved in the folder of its checkpoints."""

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
  """Writes `config.json` in a folder, as an atomic write."""
  path = os.path.join(folder, CONFIG_FILE)
  cloud_file.write(configuration.to_json(model, training).encode(), path)


def exists(folder: str) -> bool:
  """Returns whether a folder has a `config.json`."""
  return tf.io.gfile.exists(os.path.join(folder, CONFIG_FILE))


def remove(folder: str) -> None:
  """Removes the `config.json` of a folder, which must exist."""
  tf.io.gfile.remove(os.path.join(folder, CONFIG_FILE))


def load(
    path: str, overrides: str = ""
) -> tuple[configuration.ModelConfig, configuration.TrainingConfig]:
  """Loads the configuration with which a model was trained.

  Args:
    path: The model's folder, or a checkpoint in it.
    overrides: Changes to the configuration, as text; see
      `configuration.apply_overrides`.

  Returns:
    The model and the training configuration, with the overrides applied. If
    there is no `config.json`, they are the defaults, those of the released
    model, with the sizes of vocabulary, embedding and LSTM that the shapes in
    the checkpoint imply.

  Raises:
    ValueError: If the file is not a valid configuration, the checkpoint is
      corrupt, or the overrides are not valid.
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
        raise ValueError(
            f"{file} is not a valid configuration: {error}"
        ) from error
  sizes = _sizes(path)
  if sizes:
    text = ", ".join(f"{name}={size}" for name, size in sizes.items())
    logging.info("No %s; sizes from the checkpoint: %s", CONFIG_FILE, text)
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
    return {}  # The folder of a new model.
