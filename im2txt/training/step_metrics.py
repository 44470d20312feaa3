"""What a step of training tells of itself."""

from collections.abc import Mapping
import os
import types
from typing import NamedTuple

import tensorflow as tf


class StepMetrics(NamedTuple):
  """What a step tells of itself; float32 scalars.

  Attributes:
    batch_loss: The mean cross-entropy of a word of the batch, in nats, without
      label smoothing.
    total_loss: What was minimized.
    learning_rate: Of this step.
    gradient_norm: The global norm of the gradients before clipping; 0 if the
      step was left out because they overflowed in float16.
    clipped_gradient_norm: The one after it.
    measures: Others, by TensorBoard tag; those of the objective (see
      `show_and_tell_model.Losses`) and of scheduled sampling.
  """

  batch_loss: tf.Tensor
  total_loss: tf.Tensor
  learning_rate: tf.Tensor
  gradient_norm: tf.Tensor
  clipped_gradient_norm: tf.Tensor
  measures: Mapping[str, tf.Tensor] = types.MappingProxyType({})

  def measures_text(self) -> str:
    """The measures for a line of the log, as ", reward = 0.5123"."""
    return "".join(
        f", {os.path.basename(tag)} = {float(value):.4f}"
        for tag, value in self.measures.items()
    )
