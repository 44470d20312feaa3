"""A fake encoder, whose features are the mean colours of an image."""

from collections.abc import Mapping

import tensorflow as tf


class MeanEncoder:
  """A fake encoder for tests of caching features.

  Attributes:
    variables_by_name: The single variable, the scale of the features.
  """

  def __init__(self, scale: float = 100.0, copies: int = 1):
    """Creates the variable.

    Args:
      scale: Maximum absolute value of the features.
      copies: Number of repetitions of the means of red, green and blue.
    """
    self.variables_by_name: Mapping[str, tf.Variable] = {
        "scale": tf.Variable(scale)
    }
    self._copies = copies

  def __call__(self, images: tf.Tensor) -> tf.Tensor:
    """Returns the features of a batch of images."""
    means = tf.reduce_mean(images, axis=[1, 2])
    return tf.tile(means * self.variables_by_name["scale"], [1, self._copies])
