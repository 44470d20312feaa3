"""Writes checkpoints as earlier versions of TensorFlow did."""

from collections.abc import Mapping
import functools
import os
from typing import Any

import numpy as np
import tensorflow as tf

from im2txt import show_and_tell_model
from im2txt.testing import tiny

_LSTM = "lstm/basic_lstm_cell/"

# The names of the LSTM's variables by generation of checkpoints.
GENERATIONS = {
    "0.x": (
        "lstm/BasicLSTMCell/Linear/Matrix",
        "lstm/BasicLSTMCell/Linear/Bias",
    ),
    "1.0": (_LSTM + "weights", _LSTM + "biases"),
    "1.2": (_LSTM + "kernel", _LSTM + "bias"),
}


@functools.cache  # Creating a model takes seconds.
def tiny_values() -> Mapping[str, np.ndarray]:
  """Returns the values of a new tiny model at step 7, by current names."""
  model = show_and_tell_model.ShowAndTellModel(tiny.CONFIG, "inference")
  model.global_step.assign(7)
  return {
      name: variable.numpy()
      for name, variable in model.checkpoint_variables().items()
  }


def of_generation(
    values: Mapping[str, np.ndarray], generation: str
) -> dict[str, np.ndarray]:
  """Renames values from current names to those of a generation."""
  kernel, bias = GENERATIONS[generation]
  older = {_LSTM + "kernel": kernel, _LSTM + "bias": bias}
  return {older.get(name, name): value for name, value in values.items()}


def with_extras(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Adds the other variables of training with Adam and moving averages.

  Args:
    values: The values of a model, by the names of any generation.

  Returns:
    The values, with an int64 `global_step`; Adam slots of the decoder, which
    are 1 in `Adam` and 2 in `Adam_1`; moving averages of the decoder, which are
    0; and a learning rate.
  """
  extras: dict[str, Any] = {"OptimizeLoss/learning_rate": np.float32(2.0)}
  for name, value in values.items():
    # Not of the encoder, whose hundreds of variables are slow to write.
    if name == "global_step" or name.startswith("InceptionV3/"):
      continue
    extras[f"{name}/ExponentialMovingAverage"] = np.zeros_like(value)
    for slot, fill in (("Adam", 1.0), ("Adam_1", 2.0)):
      extras[f"OptimizeLoss/{name}/{slot}"] = np.full_like(value, fill)
  extras["OptimizeLoss/beta1_power"] = np.float32(0.81)
  extras["OptimizeLoss/beta2_power"] = np.float32(0.998)
  step = np.int64(values["global_step"])
  return {**values, **extras, "global_step": step}


def write(
    folder: str,
    values: Mapping[str, np.ndarray],
    *,
    version: int,
    name: str = "model.ckpt",
    step: int | None = None,
) -> str:
  """Writes a checkpoint as TensorFlow 1 did.

  Args:
    folder: An existing folder; a `checkpoint` file is written too.
    values: The values by name.
    version: The file format: 1, a single file, as until 2016; or 2.
    name: The name of the checkpoint without the step.
    step: The step to append to the name, if any.

  Returns:
    The path of the checkpoint, without suffix.
  """
  definition = tf.compat.v1.train.SaverDef
  saver = tf.compat.v1.train.Saver(
      {name: tf.Variable(value) for name, value in values.items()},
      write_version=definition.V1 if version == 1 else definition.V2,
  )
  path = os.path.join(folder, name)
  return saver.save(None, path, global_step=step, write_meta_graph=False)
