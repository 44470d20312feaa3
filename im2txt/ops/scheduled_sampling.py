"""Scheduled sampling (Bengio et al., arXiv 1506.03099).

At test time, the inputs of the decoder are its own predictions. To prepare for
that, some of the input words in training are sampled from its predictions. No
gradient flows through the sampling. So the words are sampled first, in a loop
that stores nothing for a gradient, and the model is then trained on them as on
any caption, with the input projection of all steps in one product.
"""

from collections.abc import Callable
import math
from typing import NamedTuple

import tensorflow as tf


class Decoder(NamedTuple):
  """A decoder as functions.

  Attributes:
    first_state: The states before the start words, a float32 Tensor of shape
      [batch_size, state_size].
    next_state: Function (time, word_ids, states) -> new states. The time of the
      start words is 0; `word_ids` is an integer Tensor of shape [batch_size].
    next_logits: Function (time, states, rows) -> logits of the next words in
      some rows, given the states after the words of that time. `rows` is an
      integer Tensor of shape [num_rows], and the logits are a float32 Tensor of
      shape [num_rows, vocab_size].
  """

  first_state: tf.Tensor
  next_state: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
  next_logits: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def teacher_probability(
    schedule: str,
    step: tf.Tensor,
    *,
    offset: float,
    slope: float,
    base: float,
    k: float,
    minimum: float,
) -> tf.Tensor:
  """Returns the probability of using the caption's word (paper, section 2.4).

  Args:
    schedule: "linear", "exponential" or "inverse_sigmoid".
    step: Number of completed steps; an integer scalar.
    offset: For "linear", the probability in step 0.
    slope: For "linear", the decrease per step.
    base: For "exponential", the factor per step.
    k: For "inverse_sigmoid", the time scale of the decrease.
    minimum: Lower bound of the probability.

  Returns:
    A scalar float32 Tensor in [minimum, 1].

  Raises:
    ValueError: If the schedule is unknown.
  """
  step = tf.cast(step, tf.float32)
  schedules: dict[str, Callable[[], tf.Tensor]] = {
      "linear": lambda: offset - slope * step,
      "exponential": lambda: tf.exp(step * math.log(base)),
      # Equal to k / (k + exp(step / k)), where exp could overflow.
      "inverse_sigmoid": lambda: tf.sigmoid(math.log(k) - step / k),
  }
  if schedule not in schedules:
    raise ValueError(
        f"The schedules are {', '.join(schedules)}. Got: {schedule!r}."
    )
  return tf.clip_by_value(schedules[schedule](), minimum, 1.0)


def sample_inputs(
    input_seqs: tf.Tensor,
    input_mask: tf.Tensor,
    decoder: Decoder,
    *,
    probability: tf.Tensor,
    seed: tf.Tensor,
    at_padding: bool = False,
) -> tf.Tensor:
  """Replaces words of captions by samples from the decoder's predictions.

  Args:
    input_seqs: An integer Tensor of shape [batch_size, padded_length].
    input_mask: An int32 Tensor of the same shape; 1 at words, 0 at padding.
    decoder: The decoder.
    probability: Probability that a word other than the start word is replaced;
      a float32 scalar.
    seed: An integer Tensor of shape [2].
    at_padding: Whether to draw a word in every row, so that all shapes are
      known when XLA compiles the computation.

  Returns:
    A Tensor of the dtype and shape of `input_seqs`.
  """
  choice_seed, draw_seed = tf.unstack(
      tf.random.experimental.stateless_split(seed)
  )
  uniform = tf.random.stateless_uniform(tf.shape(input_seqs), choice_seed)
  is_sampled = (uniform < probability) & (input_mask > 0)
  by_time = tf.transpose(input_seqs)
  length = tf.shape(by_time)[0]
  words = tf.TensorArray(by_time.dtype, length, element_shape=[None]).write(
      0, by_time[0]
  )

  def draw(time, state, rows):
    return tf.random.stateless_categorical(
        decoder.next_logits(time, state, rows),
        1,
        tf.random.experimental.stateless_fold_in(draw_seed, time),
        by_time.dtype,
    )[:, 0]

  def step(time, word_ids, state, words):
    state = decoder.next_state(time, word_ids, state)
    is_drawn = is_sampled[:, time + 1]
    if at_padding:
      drawn = draw(time, state, tf.range(tf.shape(state)[0]))
      word_ids = tf.where(is_drawn, drawn, by_time[time + 1])
    else:
      rows = tf.where(is_drawn)
      drawn = draw(time, state, rows[:, 0])
      word_ids = tf.tensor_scatter_nd_update(by_time[time + 1], rows, drawn)
    return time + 1, word_ids, state, words.write(time + 1, word_ids)

  *_, words = tf.while_loop(
      lambda time, *_: time < length - 1,
      step,
      (0, by_time[0], decoder.first_state, words),
      shape_invariants=(
          tf.TensorShape([]),
          tf.TensorShape([None]),
          tf.TensorShape([None, decoder.first_state.shape[1]]),
          tf.TensorShape(None),
      ),
  )
  sampled = tf.transpose(words.stack())
  return tf.ensure_shape(sampled, input_seqs.shape)
