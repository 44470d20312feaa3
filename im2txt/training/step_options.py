"""What a step of training is told besides the configuration."""

import dataclasses
from typing import Any
from typing import Protocol

import tensorflow as tf

from im2txt import show_and_tell_model


class Objective(Protocol):
  """What to train for, other than the likelihood of the captions.

  Attributes:
    name: Under which checkpoints have the optimizer's variables: they start
      anew with another objective, whose gradients are of another size.
    learning_rate: A constant.
  """

  name: str
  learning_rate: float

  def losses(
      self,
      model: show_and_tell_model.ShowAndTellModel,
      batch: Any,
      *,
      seed: tf.Tensor,
  ) -> show_and_tell_model.Losses:
    """What a batch costs, by a seed of the step, an integer [2]."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepOptions:
  """What may be another in each run of one configuration.

  Attributes:
    train_inception: Whether to train the encoder as well as the decoder.
    objective: What to train for; the captions' likelihood if None.
    scale_loss: Whether gradients are computed in float16; see
      `mixed_precision.LossScale`.
    jit_compile: Whether XLA compiles the step, anew for each of a few lengths
      of captions; not with several replicas.
    must_compile: Whether it is an error if XLA can't compile the step here;
      otherwise training does without, with a warning.
  """

  train_inception: bool = False
  objective: Objective | None = None
  scale_loss: bool = False
  jit_compile: bool = False
  must_compile: bool = True


DEFAULT = StepOptions()
