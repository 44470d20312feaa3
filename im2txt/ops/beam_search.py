"""Beam search over the words of captions: batched and in the graph.

It finds exactly what `inference_utils/caption_generator.py` finds for each
image, in the same order. Per step, for each of the k partial captions,

    last words --step_fn--> probabilities --top k--> k proposals
                                   |
        k x k proposals: ends in </S> -> complete, the k best of old and new
                         any other    -> partial, the k best of the new

Two things make it fast. The model advances only the captions that are alive,
one an image in the first step; and a caption that can no longer become one of
its image's k best is dropped, which changes nothing in the result:

  Let s be the k-th best score of an image's complete captions, and L the log-
  probability of a partial one. As no word's log-probability is positive, what
  becomes of it has a log-probability of at most L and a score of at most
  L / T^f, where T is the greatest length (and just L if the factor f is not
  positive, for then scores are not normalized). If that is at most s, it
  can't enter any more: s never falls, and of equal scores the earlier stays.
  Rounding does not break this, since sums and quotients round monotonically.
  Dropping it lets no other caption in: what its proposals kept out of the
  partial beam has an L as low, and can't enter either. Before there are k
  complete captions, s is -infinity and nothing is dropped, so the partial
  captions are all there if none gets complete.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from im2txt.ops import beam

# As in inference_utils/caption_generator.py, where the reasons stand.
_MIN_PROBABILITY = 1e-12
_LOG_STEPS = 2.0**43

# Probabilities float32 [n, vocab_size] and states of the n captions, from
# their last words int32 [n] and their states. A state is a Tensor of shape
# [n, ...] or a structure of such.
StepFn = Callable[[tf.Tensor, Any], tuple[tf.Tensor, Any]]


class BeamSearchResult(NamedTuple):
  """The captions of a batch of images, each image's best first.

  With k the beam size and T the greatest length. Rows of an image from
  `num_captions` on hold no caption: their length is 0, their log-probability
  and score -infinity.

  Attributes:
    word_ids: An int32 Tensor of shape [batch_size, k, T]; start word, words
      and, if complete, end word, padded with the end word's id.
    lengths: An int32 Tensor of shape [batch_size, k]; how many ids of the row
      are the caption's, start and end word included.
    log_probs: A float64 Tensor of shape [batch_size, k]; the captions' natural
      log-probabilities.
    scores: A float64 Tensor of shape [batch_size, k]; what they are ranked by.
    word_log_probs: A float64 Tensor of shape [batch_size, k, T]; each word's
      log-probability given those before it, 0 for start word and padding. It
      and the two before are of the type that the search was told to use.
    is_complete: A bool Tensor of shape [batch_size]; whether the image's
      captions come to the end word. All do or none does.
    num_captions: An int32 Tensor of shape [batch_size]; at most k.
  """

  word_ids: tf.Tensor
  lengths: tf.Tensor
  log_probs: tf.Tensor
  scores: tf.Tensor
  word_log_probs: tf.Tensor
  is_complete: tf.Tensor
  num_captions: tf.Tensor


def beam_search(
    step_fn: StepFn,
    initial_state: Any,
    *,
    start_id: int,
    end_id: int,
    beam_size: int = 3,
    max_caption_length: int = 20,
    length_normalization_factor: float = 0.0,
    dtype: tf.DType = tf.float64,
) -> BeamSearchResult:
  """Finds the most likely captions of each image of a batch.

  Works eagerly, in a `tf.function` (also with autograph off) and in a
  SavedModel; the batch size may be unknown there.

  Args:
    step_fn: Gives the next word's probabilities, none above 1, and the new
      states of n captions; n varies from step to step.
    initial_state: The state of each image's caption before the start word is
      fed: a Tensor of shape [batch_size, ...] or a structure of such.
    start_id: What captions start with.
    end_id: What complete captions end with.
    beam_size: How many captions to keep an image; may exceed the vocabulary.
    max_caption_length: The most words, start and end word included.
    length_normalization_factor: If positive, a complete caption's score is its
      log-probability over its length to this power. Otherwise the score is the
      log-probability, as it always is for an incomplete one.
    dtype: What log-probabilities are added up in. float32 is for where there is
      nothing more precise; it may find captions that are as good as equal in
      another order.

  Returns:
    The captions. An image without any complete one has incomplete ones.

  Raises:
    ValueError: If `beam_size` or `max_caption_length` is less than 1.
  """
  if beam_size < 1 or max_caption_length < 1:
    raise ValueError(
        "beam_size and max_caption_length must be at least 1. Got:"
        f" {beam_size} and {max_caption_length}."
    )
  batch_size = tf.shape(tf.nest.flatten(initial_state)[0])[0]
  search = _Search(
      step_fn=step_fn,
      end_id=end_id,
      penalties=_penalties(
          max_caption_length, length_normalization_factor, dtype
      ),
  )
  partial, complete = search.run(
      beam.start(batch_size, beam_size, max_caption_length, start_id, dtype),
      initial_state,
  )
  return _result(partial, complete, end_id)


class _Search(NamedTuple):
  """The loop of a search.

  Attributes:
    step_fn: See `beam_search`.
    end_id: The end word's id.
    penalties: What the log-probability of a complete caption is divided by, by
      its length; a Tensor of shape [T + 1].
  """

  step_fn: StepFn
  end_id: int
  penalties: tf.Tensor

  def run(
      self, partial: beam.Captions, initial_state: Any
  ) -> tuple[beam.Captions, beam.Captions]:
    """The partial and the complete captions of the end, from the first ones."""
    variables = (
        tf.constant(1),
        partial,
        beam.drop(partial, True),
        initial_state,
    )
    _, partial, complete, _ = tf.while_loop(
        self._goes_on,
        self._advance,
        variables,
        # Neither the batch size nor how many captions live must be known.
        shape_invariants=tf.nest.map_structure(
            lambda v: tf.TensorShape([None, *v.shape[1:]][: v.shape.rank]),
            variables,
        ),
    )
    return partial, complete

  def _goes_on(self, length, partial, complete, state):
    del complete, state
    max_length = partial.word_ids.shape[2]
    return (length < max_length) & tf.reduce_any(partial.exist)

  def _advance(self, length, partial, complete, state):
    """One more word; `length` is that of the partial captions that exist."""
    alive = tf.reshape(partial.exist, [-1])
    last_words = tf.reshape(partial.word_ids[:, :, length - 1], [-1])
    probabilities, state = self.step_fn(
        tf.boolean_mask(last_words, alive), state
    )
    proposals = _likeliest_words(
        probabilities,
        alive,
        beam_size=partial.scores.shape[1],
        end_id=self.end_id,
        dtype=self.penalties.dtype,
    )
    length += 1
    ended = beam.end(
        partial, proposals, self.end_id, penalty=self.penalties[length]
    )
    complete = beam.best(complete, ended)
    partial, rows = beam.go_on(partial, proposals)
    highest_scores = partial.log_probs / self.penalties[-1]
    partial = beam.drop(partial, highest_scores <= complete.scores[:, -1:])
    rows = tf.boolean_mask(rows, partial.exist)
    state = tf.nest.map_structure(lambda s: tf.gather(s, rows), state)
    return length, partial, complete, state


def _penalties(
    max_length: int, length_normalization_factor: float, dtype: tf.DType
) -> tf.Tensor:
  """See `_Search`; all 1 if scores are not normalized."""
  lengths = np.arange(max_length + 1, dtype=np.float64)
  return tf.constant(lengths ** max(length_normalization_factor, 0.0), dtype)


def _likeliest_words(
    probabilities: tf.Tensor,
    alive: tf.Tensor,
    *,
    beam_size: int,
    end_id: int,
    dtype: tf.DType,
) -> beam.Proposals:
  """The words each partial caption proposes.

  Args:
    probabilities: A float32 Tensor of shape [n, vocab_size].
    alive: A bool Tensor of shape [batch_size * beam_size], with n true.
    beam_size: How many words at the most.
    end_id: The end word's id.
    dtype: Of their log-probabilities.

  Returns:
    The proposals; those of captions that are not alive are impossible.
  """
  # Of equal probabilities, top_k takes the smaller id.
  width = tf.minimum(beam_size, tf.shape(probabilities)[1])
  values, word_ids = tf.math.top_k(probabilities, width)
  values = tf.cast(values, dtype)
  log_probs = tf.math.log(values)
  if dtype == tf.float64:
    log_probs = tf.round(log_probs * _LOG_STEPS) / _LOG_STEPS
  log_probs = beam.impossible(values < _MIN_PROBABILITY, log_probs)

  # Captions that are not alive take a row of their own, after the others.
  rows = tf.cumsum(tf.cast(alive, tf.int32)) - 1
  rows = tf.where(alive, rows, tf.shape(probabilities)[0])
  rows = tf.reshape(rows, [-1, beam_size])
  one_more = [[0, 1], [0, 0]]
  word_ids = tf.gather(tf.pad(word_ids, one_more), rows)
  log_probs = tf.pad(log_probs, one_more, constant_values=beam.NEVER)
  log_probs = tf.gather(log_probs, rows)
  return beam.Proposals(word_ids, log_probs, word_ids == end_id, rows)


def _result(
    partial: beam.Captions, complete: beam.Captions, end_id: int
) -> BeamSearchResult:
  is_complete = complete.exist[:, 0]
  captions = beam.choose(is_complete, complete, partial)
  lengths = tf.where(captions.exist, captions.lengths, 0)
  is_word = tf.sequence_mask(lengths, captions.word_ids.shape[2])
  return BeamSearchResult(
      word_ids=tf.where(is_word, captions.word_ids, end_id),
      lengths=lengths,
      log_probs=captions.log_probs,
      scores=captions.scores,
      word_log_probs=tf.where(is_word, captions.word_log_probs, 0.0),
      is_complete=is_complete,
      num_captions=tf.reduce_sum(tf.cast(captions.exist, tf.int32), 1),
  )
