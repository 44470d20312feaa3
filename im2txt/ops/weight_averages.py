"""Exponential moving averages of weights, under TensorFlow 1's names."""

from collections.abc import Collection
from collections.abc import Mapping

import tensorflow as tf

# What the name of an average adds to that of its variable in a checkpoint.
SUFFIX = "/ExponentialMovingAverage"


class WeightAverages(tf.Module):
  """Averages of variables over the steps of training.

  Under a `tf.distribute` strategy they are made in the strategy's scope and
  updated in replica context.

  Attributes:
    variables_by_name: The averages by checkpoint name,
      `<variable>/ExponentialMovingAverage`.
  """

  def __init__(self, variables: Mapping[str, tf.Variable], *, decay: float):
    """Makes the averages, with the variables' values of now.

    Args:
      variables: The variables to average, by checkpoint name.
      decay: How much of itself an average keeps in a step; less in the first
        ones, as of `decay_of_step`. 0 makes no averages.
    """
    super().__init__()
    self._decay = decay
    self._averaged = dict(variables) if decay else {}
    self.variables_by_name = {
        name
        + SUFFIX: tf.Variable(
            variable.read_value(), trainable=False, name=name + SUFFIX
        )
        for name, variable in self._averaged.items()
    }

  def decay_of_step(self, step: tf.Tensor) -> tf.Tensor:
    """How much of themselves the averages keep: (1 + i) / (10 + i) at most.

    So they soon forget the initial values, as TensorFlow's `num_updates` does.

    Args:
      step: The number of steps done before; an integer scalar.

    Returns:
      A float32 scalar.
    """
    step = tf.cast(step, tf.float32)
    return tf.minimum(self._decay, (1.0 + step) / (10.0 + step))

  def update(self, step: tf.Tensor) -> None:
    """Moves the averages towards the variables; `step` as above."""
    rate = 1.0 - self.decay_of_step(step)
    for name, variable in self._averaged.items():
      average = self.variables_by_name[name + SUFFIX]
      tf.raw_ops.ResourceApplyGradientDescent(
          var=average.handle,
          alpha=rate,
          delta=average.read_value() - variable.read_value(),
      )

  def restart(self, names: Collection[str]) -> None:
    """Gives averages that a checkpoint lacked the values of their variables.

    Args:
      names: Checkpoint names, of which those of averages count.
    """
    for name, variable in self._averaged.items():
      if name + SUFFIX in names:
        self.variables_by_name[name + SUFFIX].assign(variable.read_value())
