"""An encoder that sees the mean colours of an image, and needs no making."""

from collections.abc import Mapping

import tensorflow as tf


class MeanEncoder:
  """Stands in for the encoder where features are made, not used.

  Attributes:
    variables_by_name: Its one variable, the scale of the features.
  """

  def __init__(self, scale: float = 100.0, copies: int = 1):
    """Makes the variable.

    Args:
      scale: The features are between -scale and scale.
      copies: How often an image's red, green and blue are repeated.
    """
    self.variables_by_name: Mapping[str, tf.Variable] = {
        "scale": tf.Variable(scale)
    }
    self._copies = copies

  def __call__(self, images: tf.Tensor) -> tf.Tensor:
    """Returns the features of a batch of images."""
    means = tf.reduce_mean(images, axis=[1, 2])
    return tf.tile(means * self.variables_by_name["scale"], [1, self._copies])
