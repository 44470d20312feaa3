"""Orders training examples so that a batch's captions are of like length.

    window 0 of 3 batches, by length   3 3 4 | 4 5 5 | 6 8 9
    its batches, shuffled              4 5 5 | 6 8 9 | 3 3 4

Captions are sorted within windows of a few batches, and the batches of a window
are shuffled. So every example still comes once an epoch, at most a window from
where it would have come, and there is less padding in a batch.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def bucketed(
    elements_from: Callable[..., tf.data.Dataset],
    *,
    lengths: Callable[[Any], tf.Tensor],
    batch_size: int,
    num_batches: int,
    seed: int,
    start: int,
) -> tf.data.Dataset:
  """Elements in such an order that batches have captions of like length.

  Args:
    elements_from: Gives an infinite Dataset of the elements from number `start`
      on, its keyword argument.
    lengths: Gives the lengths of the captions of a batch of elements; an
      integer Tensor of shape [num_elements].
    batch_size: Elements in a batch.
    num_batches: Batches in a window; with 1 the order stays as it is.
    seed: Decides the order of a window's batches.
    start: How many elements to leave out, in the order that this gives.

  Returns:
    An infinite Dataset of the elements, to be cut into batches. What was of
    different shapes is padded.
  """
  if num_batches == 1:
    return elements_from(start=start)
  window_size = batch_size * num_batches
  first_window, skipped = divmod(start, window_size)

  @tf.autograph.experimental.do_not_convert
  def reorder(index: tf.Tensor, window: Any) -> Any:
    by_length = tf.argsort(lengths(window), stable=True)
    batches = tf.random.experimental.stateless_shuffle(
        tf.reshape(by_length, [num_batches, batch_size]),
        seed=tf.stack([seed, index]),
    )
    order = tf.reshape(batches, [window_size])
    return tf.nest.map_structure(lambda t: tf.gather(t, order), window)

  return (
      elements_from(start=first_window * window_size)
      .padded_batch(window_size, drop_remainder=True)
      .enumerate(first_window)
      .map(reorder)
      .unbatch()
      .skip(skipped)
  )
