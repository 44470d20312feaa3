"""Captions drawn word by word, many at once, in the graph.

Either each next word is drawn from the model's distribution, or the likeliest
is taken (greedy decoding). Search for the likeliest captions is `beam_search`.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

# As `CaptionDecoder.decode_step`.
DecodeStep = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class DrawnCaptions(NamedTuple):
  """Captions without their start words.

  Attributes:
    word_ids: An int32 Tensor of shape [num_captions, longest_length]; 0 after
      the end word, which is there unless the caption was cut off.
    lengths: An int32 Tensor of shape [num_captions], end words included.
  """

  word_ids: tf.Tensor
  lengths: tf.Tensor


def draw_captions(
    decode_step: DecodeStep,
    states: tf.Tensor,
    *,
    start_id: int,
    end_id: int,
    max_length: int,
    seed: tf.Tensor | None = None,
) -> DrawnCaptions:
  """Draws a caption from each state; stops when all have ended.

  Args:
    decode_step: Takes the last words and the states, and gives probabilities of
      the next words and the new states.
    states: A float32 Tensor of shape [num_captions, state_size], after the
      images and before the start words.
    start_id: The word that begins captions.
    end_id: The word that ends them.
    max_length: The number of words at which captions are cut off, the end word
      included.
    seed: An integer Tensor of shape [2] that decides the words; if None, they
      are the likeliest ones.

  Returns:
    The `DrawnCaptions`.
  """
  num_captions = tf.shape(states)[0]

  def go_on(step, last_words, states, is_open, lengths, words):
    probabilities, states = decode_step(last_words, states)
    goes_on = tf.cast(is_open, tf.int32)
    drawn = _next_words(probabilities, step, seed) * goes_on
    words = words.write(step, drawn)
    is_open &= drawn != end_id
    return step + 1, drawn, states, is_open, lengths + goes_on, words

  num_steps, *_, lengths, words = tf.while_loop(
      lambda step, last_words, states, is_open, *_: tf.reduce_any(is_open),
      go_on,
      (
          tf.constant(0),
          tf.fill([num_captions], start_id),
          states,
          tf.fill([num_captions], True),
          tf.zeros([num_captions], tf.int32),
          tf.TensorArray(tf.int32, max_length, element_shape=[None]),
      ),
      maximum_iterations=max_length,
  )
  word_ids = tf.transpose(words.gather(tf.range(num_steps)))
  return DrawnCaptions(word_ids, lengths)


def _next_words(
    probabilities: tf.Tensor, step: tf.Tensor, seed: tf.Tensor | None
) -> tf.Tensor:
  """The words of a step, an int32 Tensor of shape [num_captions]."""
  if seed is None:
    return tf.argmax(probabilities, axis=1, output_type=tf.int32)
  return tf.random.stateless_categorical(
      tf.math.log(probabilities),
      1,
      seed=tf.random.experimental.stateless_fold_in(seed, step),
      dtype=tf.int32,
  )[:, 0]
