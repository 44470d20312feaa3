"""The beams of a batch: the k best captions of each image, as they grow."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

# The log-probability of a caption that is none.
NEVER = -np.inf


class Captions(NamedTuple):
  """k captions of each image, the best first, none of more than T words.

  Attributes:
    word_ids: An int32 Tensor of shape [batch_size, k, T]; what comes after the
      caption's length has no meaning.
    lengths: An int32 Tensor of shape [batch_size, k].
    log_probs: A float64 Tensor of shape [batch_size, k]; -infinity if there is
      no caption. Or float32, as are then scores and word_log_probs.
    scores: A float64 Tensor of shape [batch_size, k]; what they are ranked by.
    word_log_probs: A float64 Tensor of shape [batch_size, k, T]; 0 after the
      caption's length.
  """

  word_ids: tf.Tensor
  lengths: tf.Tensor
  log_probs: tf.Tensor
  scores: tf.Tensor
  word_log_probs: tf.Tensor

  @property
  def exist(self) -> tf.Tensor:
    """Which are captions; a bool Tensor of shape [batch_size, k]."""
    return self.log_probs > NEVER


class Proposals(NamedTuple):
  """The likeliest next words of each partial caption, the likeliest first.

  Attributes:
    word_ids: An int32 Tensor of shape [batch_size, k, width].
    log_probs: A float64 Tensor of that shape; of the words, given the caption.
    are_end: A bool Tensor of that shape; whether they are the end word.
    rows: An int32 Tensor of shape [batch_size, k]; which row of the step's
      input was the partial caption's.
  """

  word_ids: tf.Tensor
  log_probs: tf.Tensor
  are_end: tf.Tensor
  rows: tf.Tensor


def impossible(which: tf.Tensor, log_probs: tf.Tensor) -> tf.Tensor:
  """Log-probabilities, with `NEVER` where the bool Tensor is true."""
  return tf.where(which, tf.constant(NEVER, log_probs.dtype), log_probs)


def start(
    batch_size: tf.Tensor,
    beam_size: int,
    max_length: int,
    start_id: int,
    dtype: tf.DType = tf.float64,
) -> Captions:
  """One caption an image, which is certain and holds the start word alone."""
  words_shape = tf.stack([batch_size, beam_size, max_length])
  is_other = tf.tile([tf.range(beam_size) > 0], [batch_size, 1])
  log_probs = impossible(is_other, tf.zeros(tf.shape(is_other), dtype))
  return Captions(
      word_ids=tf.fill(words_shape, start_id),
      lengths=tf.ones_like(log_probs, tf.int32),
      log_probs=log_probs,
      scores=log_probs,
      word_log_probs=tf.zeros(words_shape, dtype),
  )


def append(
    captions: Captions, word_ids: tf.Tensor | int, word_log_probs: tf.Tensor
) -> Captions:
  """Each caption with one more word, with its log-probability as its score.

  Args:
    captions: The captions; those that exist are of one length, less than T.
    word_ids: An int32 Tensor of shape [batch_size, k], or one id for all.
    word_log_probs: A float64 Tensor of shape [batch_size, k]; -infinity makes
      it no caption.

  Returns:
    The captions, in the same order.
  """
  position = tf.range(captions.word_ids.shape[2])
  is_new = position == captions.lengths[..., tf.newaxis]
  words = tf.convert_to_tensor(word_ids)[..., tf.newaxis]
  log_probs = captions.log_probs + word_log_probs
  return Captions(
      word_ids=tf.where(is_new, words, captions.word_ids),
      lengths=captions.lengths + 1,
      log_probs=log_probs,
      scores=log_probs,
      word_log_probs=tf.where(
          is_new, word_log_probs[..., tf.newaxis], captions.word_log_probs
      ),
  )


def take(captions: Captions, ranks: tf.Tensor) -> Captions:
  """The captions at ranks int32 [batch_size, n] of each image's."""
  return tf.nest.map_structure(
      lambda field: tf.gather(field, ranks, batch_dims=1), captions
  )


def drop(captions: Captions, which: tf.Tensor) -> Captions:
  """The captions without those where the bool [batch_size, k] is true."""
  return captions._replace(
      log_probs=impossible(which, captions.log_probs),
      scores=impossible(which, captions.scores),
  )


def best(earlier: Captions, later: Captions) -> Captions:
  """The k best of twice k captions; of equal scores the earlier, by rank."""
  both = tf.nest.map_structure(
      lambda a, b: tf.concat([a, b], axis=1), earlier, later
  )
  # Of equal values, top_k takes the one of the smaller index.
  _, ranks = tf.math.top_k(both.scores, earlier.scores.shape[1])
  return take(both, ranks)


def choose(which: tf.Tensor, one: Captions, other: Captions) -> Captions:
  """Each image's captions from `one` where the bool [batch_size] is true."""

  def choose_field(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.reshape(which, [-1] + [1] * (a.shape.rank - 1)), a, b)

  return tf.nest.map_structure(choose_field, one, other)


def end(
    partial: Captions,
    proposals: Proposals,
    end_id: int,
    *,
    penalty: tf.Tensor,
) -> Captions:
  """The partial captions with the end word, where they propose it.

  Args:
    partial: The captions.
    proposals: Their next words.
    end_id: The end word's id.
    penalty: What their log-probabilities are divided by for their scores; a
      scalar of their dtype.

  Returns:
    The captions in the same order; those that don't propose it are none.
  """
  end_log_probs = impossible(~proposals.are_end, proposals.log_probs)
  # Each proposes the end word once at the most.
  ended = append(partial, end_id, tf.reduce_max(end_log_probs, axis=2))
  return ended._replace(scores=ended.log_probs / penalty)


def go_on(
    partial: Captions, proposals: Proposals
) -> tuple[Captions, tf.Tensor]:
  """The k best captions that go on, of equal ones the earlier proposed.

  Args:
    partial: The captions before this step.
    proposals: Their next words.

  Returns:
    The captions after this step, and an int32 Tensor of shape [batch_size, k]
    with the row of the step's input that each comes from.
  """
  beam_size, width = partial.scores.shape[1], tf.shape(proposals.word_ids)[2]
  word_log_probs = impossible(proposals.are_end, proposals.log_probs)
  log_probs = partial.log_probs[:, :, tf.newaxis] + word_log_probs

  def flat(values: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, [-1, beam_size * width])

  _, order = tf.math.top_k(flat(log_probs), beam_size)
  parents = order // width
  captions = append(
      take(partial, parents),
      tf.gather(flat(proposals.word_ids), order, batch_dims=1),
      tf.gather(flat(word_log_probs), order, batch_dims=1),
  )
  return captions, tf.gather(proposals.rows, parents, batch_dims=1)
