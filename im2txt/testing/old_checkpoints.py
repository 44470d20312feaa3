"""Checkpoints as earlier TensorFlows wrote them, through their Saver."""

from collections.abc import Mapping
import functools
import os
from typing import Any

import numpy as np
import tensorflow as tf

from im2txt import show_and_tell_model
from im2txt.testing import tiny

_LSTM = "lstm/basic_lstm_cell/"

# The LSTM's two variables in each generation of checkpoints.
GENERATIONS = {
    "0.x": (
        "lstm/BasicLSTMCell/Linear/Matrix",
        "lstm/BasicLSTMCell/Linear/Bias",
    ),
    "1.0": (_LSTM + "weights", _LSTM + "biases"),
    "1.2": (_LSTM + "kernel", _LSTM + "bias"),
}


@functools.cache  # Making a model takes seconds.
def tiny_values() -> Mapping[str, np.ndarray]:
  """Returns a new tiny model's values at step 7, by current names."""
  model = show_and_tell_model.ShowAndTellModel(tiny.CONFIG, "inference")
  model.global_step.assign(7)
  return {
      name: variable.numpy()
      for name, variable in model.checkpoint_variables().items()
  }


def of_generation(
    values: Mapping[str, np.ndarray], generation: str
) -> dict[str, np.ndarray]:
  """Returns values by today's names, by the names of a generation instead."""
  kernel, bias = GENERATIONS[generation]
  older = {_LSTM + "kernel": kernel, _LSTM + "bias": bias}
  return {older.get(name, name): value for name, value in values.items()}


def with_extras(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Returns values with what training with Adam and averages left beside them.

  Args:
    values: A model's values by the names of any generation.

  Returns:
    These, an int64 `global_step` among them, with slots of Adam, which are 1 in
    `Adam` and 2 in `Adam_1`, and moving averages, both of the decoder, and a
    learning rate.
  """
  extras: dict[str, Any] = {"OptimizeLoss/learning_rate": np.float32(2.0)}
  for name, value in values.items():
    # Of the encoder's variables there would be hundreds, slow to write.
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
  """Writes a checkpoint as code of TensorFlow 1 does.

  Args:
    folder: An existing folder, which gets a `checkpoint` file too.
    values: What to write, by name.
    version: Of the format: 1, a single file, as until 2016, or 2.
    name: The first part of the name of the checkpoint.
    step: The second part of it, if any.

  Returns:
    The checkpoint's path, without suffix.
  """
  definition = tf.compat.v1.train.SaverDef
  saver = tf.compat.v1.train.Saver(
      {name: tf.Variable(value) for name, value in values.items()},
      write_version=definition.V1 if version == 1 else definition.V2,
  )
  path = os.path.join(folder, name)
  return saver.save(None, path, global_step=step, write_meta_graph=False)
