"""Beam search over the words of captions: batched and in the graph.

For each image, the result is exactly that of the reference search,
`inference_utils/caption_generator.py`. Per step, for each of the k partial
captions,

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

# The log-probability of an empty beam slot.
NEG_INF = -np.inf

# As in inference_utils/caption_generator.py, which has the reasons.
_MIN_PROBABILITY = 1e-12
_LOG_STEPS = 2.0**43

# Probabilities float32 [n, vocab_size] and states of the n captions, from
# their last words int32 [n] and their states. A state is a Tensor of shape
# [n, ...] or a structure of such.
StepFn = Callable[[tf.Tensor, Any], tuple[tf.Tensor, Any]]


class Beams(NamedTuple):
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
    return self.log_probs > NEG_INF


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


def mask_out(which: tf.Tensor, log_probs: tf.Tensor) -> tf.Tensor:
  """Log-probabilities, with `NEG_INF` where the bool Tensor is true."""
  return tf.where(which, tf.constant(NEG_INF, log_probs.dtype), log_probs)


def initial_beams(
    batch_size: tf.Tensor,
    beam_size: int,
    max_length: int,
    start_id: int,
    dtype: tf.DType = tf.float64,
) -> Beams:
  """Returns beams of one caption per image: the start word."""
  words_shape = tf.stack([batch_size, beam_size, max_length])
  is_other = tf.tile([tf.range(beam_size) > 0], [batch_size, 1])
  log_probs = mask_out(is_other, tf.zeros(tf.shape(is_other), dtype))
  return Beams(
      word_ids=tf.fill(words_shape, start_id),
      lengths=tf.ones_like(log_probs, tf.int32),
      log_probs=log_probs,
      scores=log_probs,
      word_log_probs=tf.zeros(words_shape, dtype),
  )


def append_word(
    captions: Beams, word_ids: tf.Tensor | int, word_log_probs: tf.Tensor
) -> Beams:
  """Returns the captions with one more word each.

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
  return Beams(
      word_ids=tf.where(is_new, words, captions.word_ids),
      lengths=captions.lengths + 1,
      log_probs=log_probs,
      scores=log_probs,
      word_log_probs=tf.where(
          is_new, word_log_probs[..., tf.newaxis], captions.word_log_probs
      ),
  )


def select(captions: Beams, ranks: tf.Tensor) -> Beams:
  """Returns the captions at ranks int32 [batch_size, n] of each image's."""
  return tf.nest.map_structure(
      lambda field: tf.gather(field, ranks, batch_dims=1), captions
  )


def remove(captions: Beams, which: tf.Tensor) -> Beams:
  """Returns the beams without the captions where `which` is true."""
  return captions._replace(
      log_probs=mask_out(which, captions.log_probs),
      scores=mask_out(which, captions.scores),
  )


def merge_best(earlier: Beams, later: Beams) -> Beams:
  """Returns the k best of twice k captions; of equal ones the earlier."""
  both = tf.nest.map_structure(
      lambda a, b: tf.concat([a, b], axis=1), earlier, later
  )
  # Of equal values, top_k takes the one of the smaller index.
  _, ranks = tf.math.top_k(both.scores, earlier.scores.shape[1])
  return select(both, ranks)


def choose_beams(which: tf.Tensor, one: Beams, other: Beams) -> Beams:
  """Returns each image's captions from `one` where `which` is true."""

  def choose_field(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.reshape(which, [-1] + [1] * (a.shape.rank - 1)), a, b)

  return tf.nest.map_structure(choose_field, one, other)


def finish(
    partial: Beams,
    proposals: Proposals,
    end_id: int,
    *,
    penalty: tf.Tensor,
) -> Beams:
  """Returns the partial captions with the end word, where they propose it.

  Args:
    partial: The captions.
    proposals: Their next words.
    end_id: The end word's id.
    penalty: What their log-probabilities are divided by for their scores; a
      scalar of their dtype.

  Returns:
    The captions in the same order; those that don't propose it are none.
  """
  end_log_probs = mask_out(~proposals.are_end, proposals.log_probs)
  # Each proposes the end word once at the most.
  ended = append_word(partial, end_id, tf.reduce_max(end_log_probs, axis=2))
  return ended._replace(scores=ended.log_probs / penalty)


def advance(partial: Beams, proposals: Proposals) -> tuple[Beams, tf.Tensor]:
  """Returns the k best longer captions; of equal ones, the earlier proposal.

  Args:
    partial: The captions before this step.
    proposals: Their next words.

  Returns:
    The captions after this step, and an int32 Tensor of shape [batch_size, k]
    with the row of the step's input that each comes from.
  """
  beam_size, width = partial.scores.shape[1], tf.shape(proposals.word_ids)[2]
  word_log_probs = mask_out(proposals.are_end, proposals.log_probs)
  log_probs = partial.log_probs[:, :, tf.newaxis] + word_log_probs

  def flat(values: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, [-1, beam_size * width])

  _, order = tf.math.top_k(flat(log_probs), beam_size)
  parents = order // width
  captions = append_word(
      select(partial, parents),
      tf.gather(flat(proposals.word_ids), order, batch_dims=1),
      tf.gather(flat(word_log_probs), order, batch_dims=1),
  )
  return captions, tf.gather(proposals.rows, parents, batch_dims=1)


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
    static_shapes: bool = False,
) -> BeamSearchResult:
  """Finds the most likely captions of each image of a batch.

  Works eagerly, in a `tf.function` (also with autograph off) and in a
  SavedModel; the batch size may be unknown there.

  Args:
    step_fn: Function (last words, states) -> (probabilities of the next words,
      none above 1; new states) of n captions; n varies from step to step.
    initial_state: The decoder state of each image before the start word: a
      Tensor of shape [batch_size, ...] or a structure of such Tensors.
    start_id: Id of the start word.
    end_id: Id of the end word.
    beam_size: Number of captions to keep per image; may exceed the vocabulary.
    max_caption_length: Maximum number of words, including the start word and
      the end word.
    length_normalization_factor: If positive, the score of a complete caption is
      its log-probability divided by its length to this power. Otherwise, and
      for all incomplete captions, the score is the log-probability.
    dtype: Data type for sums of log-probabilities. float32 is for runtimes
      without float64; captions of nearly equal score may change places.
    static_shapes: Whether `step_fn` gets all k captions of each image in every
      step, dropped ones too, so that all shapes follow from those of
      `initial_state`, as XLA needs. The result is the same.

  Returns:
    The captions. If an image has no complete caption, its incomplete ones.

  Raises:
    ValueError: If `beam_size` or `max_caption_length` is less than 1.
  """
  if beam_size < 1 or max_caption_length < 1:
    raise ValueError(
        "beam_size and max_caption_length must be at least 1. Got:"
        f" {beam_size} and {max_caption_length}."
    )
  batch_size = tf.shape(tf.nest.flatten(initial_state)[0])[0]
  if static_shapes:
    initial_state = tf.nest.map_structure(
        lambda s: tf.repeat(s, beam_size, axis=0), initial_state
    )
  search = _Search(
      step_fn=step_fn,
      end_id=end_id,
      static_shapes=static_shapes,
      penalties=_penalties(
          max_caption_length, length_normalization_factor, dtype
      ),
  )
  partial, complete = search.run(
      initial_beams(batch_size, beam_size, max_caption_length, start_id, dtype),
      initial_state,
  )
  return _result(partial, complete, end_id)


class _Search(NamedTuple):
  """The loop of a search.

  Attributes:
    step_fn: See `beam_search`.
    end_id: Id of the end word.
    static_shapes: See `beam_search`.
    penalties: Divisor of a complete caption's log-probability, by length; a
      Tensor of shape [T + 1].
  """

  step_fn: StepFn
  end_id: int
  static_shapes: bool
  penalties: tf.Tensor

  def run(self, partial: Beams, initial_state: Any) -> tuple[Beams, Beams]:
    """Returns the partial and the complete captions after the search."""
    variables = (
        tf.constant(1),
        partial,
        remove(partial, True),
        initial_state,
    )
    _, partial, complete, _ = tf.while_loop(
        self._goes_on,
        self._advance,
        variables,
        # The batch size and the number of live captions may be unknown.
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
    """Runs one step; `length` is the length of the partial captions."""
    alive = self._stepped(partial)
    last_words = partial.word_ids[:, :, length - 1]
    probabilities, state = self.step_fn(self._at(last_words, alive), state)
    proposals = _likeliest_words(
        probabilities,
        alive,
        beam_size=partial.scores.shape[1],
        end_id=self.end_id,
        dtype=self.penalties.dtype,
    )
    length += 1
    ended = finish(
        partial, proposals, self.end_id, penalty=self.penalties[length]
    )
    complete = merge_best(complete, ended)
    partial, rows = advance(partial, proposals)
    highest_scores = partial.log_probs / self.penalties[-1]
    partial = remove(partial, highest_scores <= complete.scores[:, -1:])
    rows = self._at(rows, self._stepped(partial))
    state = tf.nest.map_structure(lambda s: tf.gather(s, rows), state)
    return length, partial, complete, state

  def _stepped(self, partial: Beams) -> tf.Tensor:
    """Returns which captions `step_fn` gets; bool, [batch_size, k]."""
    if self.static_shapes:
      return tf.ones_like(partial.exist)
    return partial.exist

  def _at(self, values: tf.Tensor, stepped: tf.Tensor) -> tf.Tensor:
    """Returns the values [batch_size, k] of these captions, in one row."""
    if self.static_shapes:
      return tf.reshape(values, [-1])
    return tf.boolean_mask(values, stepped)


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
) -> Proposals:
  """Returns the proposals of each partial caption.

  Args:
    probabilities: A float32 Tensor of shape [n, vocab_size].
    alive: A bool Tensor of shape [batch_size, beam_size], with n true.
    beam_size: Maximum number of proposals per caption.
    end_id: Id of the end word.
    dtype: Data type of the log-probabilities.

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
  log_probs = mask_out(values < _MIN_PROBABILITY, log_probs)

  # Captions that are not alive take a row of their own, after the others.
  rows = tf.cumsum(tf.cast(tf.reshape(alive, [-1]), tf.int32)) - 1
  rows = tf.reshape(rows, [-1, beam_size])
  rows = tf.where(alive, rows, tf.shape(probabilities)[0])
  one_more = [[0, 1], [0, 0]]
  word_ids = tf.gather(tf.pad(word_ids, one_more), rows)
  log_probs = tf.pad(log_probs, one_more, constant_values=NEG_INF)
  log_probs = tf.gather(log_probs, rows)
  return Proposals(word_ids, log_probs, word_ids == end_id, rows)


def _result(partial: Beams, complete: Beams, end_id: int) -> BeamSearchResult:
  is_complete = complete.exist[:, 0]
  captions = choose_beams(is_complete, complete, partial)
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
