"""Checkpoints as earlier TensorFlows wrote them, through a session's Saver."""

from collections.abc import Mapping
import os
from typing import Any

import numpy as np
import tensorflow as tf

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


def of_generation(
    values: Mapping[str, np.ndarray], generation: str
) -> dict[str, np.ndarray]:
  """Values by today's names, by the names of a generation instead."""
  kernel, bias = GENERATIONS[generation]
  older = {_LSTM + "kernel": kernel, _LSTM + "bias": bias}
  return {older.get(name, name): value for name, value in values.items()}


def with_extras(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Values with what training with Adam and averages left beside them.

  Args:
    values: A model's values by the names of any generation.

  Returns:
    These, an int64 `global_step` among them, with slots of Adam, which are 1 in
    `Adam` and 2 in `Adam_1`, moving averages and a learning rate.
  """
  extras: dict[str, Any] = {"OptimizeLoss/learning_rate": np.float32(2.0)}
  for name, value in values.items():
    if name == "global_step":
      continue
    extras[f"{name}/ExponentialMovingAverage"] = np.zeros_like(value)
    if not name.startswith("InceptionV3/"):
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
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    variables = {
        name: tf.compat.v1.get_variable(name, initializer=np.asarray(value))
        for name, value in values.items()
    }
    session.run(tf.compat.v1.global_variables_initializer())
    definition = tf.compat.v1.train.SaverDef
    saver = tf.compat.v1.train.Saver(
        variables,
        write_version=definition.V1 if version == 1 else definition.V2,
    )
    return saver.save(session, os.path.join(folder, name), global_step=step)
