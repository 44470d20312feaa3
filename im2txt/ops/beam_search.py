"""Beam search over the words of captions, batched and in the graph.

For each image, the result is exactly that of the reference search,
`inference_utils/caption_generator.py`. A hypothesis is a caption that the
search keeps. It is finished if its last word is the end word, and live
otherwise. Each step extends the k live hypotheses of an image by a word,

    last words --step_fn--> probabilities --top k--> k proposals
                                   |
        k x k proposals: end word   -> finished, the k best of old and new
                         other word -> live, the k best of the new

Two things make it fast. The model computes a step only for hypotheses that
exist, which is one per image in the first step. And a live hypothesis that can
no longer become one of the k best of its image is dropped, which does not
change the result:

  Let s be the k-th best score of an image's finished hypotheses, and L the log-
  probability of a live one. Since no word's log-probability is positive, every
  continuation has a log-probability of at most L and a score of at most
  L / T^f, where T is the maximum length (and just L if the factor f is not
  positive, because then scores are not normalized). If that is at most s, no
  continuation can enter the k best: s never falls, and of equal scores the
  earlier one stays. Rounding does not break this, because sums and quotients
  round monotonically. Dropping the hypothesis lets no other one in: whatever
  its proposals kept out of the live beam has an L as low, and cannot enter
  either. Before there are k finished hypotheses, s is -infinity and nothing is
  dropped, so all live hypotheses are still there if none is ever finished.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# Log-probability of an empty beam slot.
NEG_INF = -np.inf

# As in inference_utils/caption_generator.py, which has the reasons.
_MIN_PROBABILITY = 1e-12
_LOG_STEPS = 2.0**43

# Function of the last words of n hypotheses, an int32 Tensor of shape [n], and
# their states. Returns the probabilities of the next words, a float32 Tensor of
# shape [n, vocab_size], and the new states. States are a Tensor of shape
# [n, ...] or a structure of such Tensors.
StepFn = Callable[[tf.Tensor, Any], tuple[tf.Tensor, Any]]


class Beams(NamedTuple):
  """Up to k hypotheses per image, of at most T words, the best first.

  Log-probabilities and scores are float64, or float32 if the search uses it.

  Attributes:
    word_ids: An int32 Tensor of shape [batch_size, k, T]; the words after the
      length of a hypothesis have no meaning.
    lengths: An int32 Tensor of shape [batch_size, k]; numbers of words.
    log_probs: A float64 Tensor of shape [batch_size, k]; `NEG_INF` in slots
      without a hypothesis.
    scores: A float64 Tensor of shape [batch_size, k]; the scores by which
      hypotheses are ranked.
    word_log_probs: A float64 Tensor of shape [batch_size, k, T]; 0 after the
      length of a hypothesis.
  """

  word_ids: tf.Tensor
  lengths: tf.Tensor
  log_probs: tf.Tensor
  scores: tf.Tensor
  word_log_probs: tf.Tensor

  @property
  def is_valid(self) -> tf.Tensor:
    """Whether a slot has a hypothesis; a bool Tensor [batch_size, k]."""
    return self.log_probs > NEG_INF


class Proposals(NamedTuple):
  """The most likely next words of each live hypothesis, most likely first.

  Attributes:
    word_ids: An int32 Tensor of shape [batch_size, k, width].
    log_probs: A float64 Tensor of the same shape; the log-probabilities of the
      words, given the hypothesis.
    is_end: A bool Tensor of the same shape; whether the word is the end word.
    rows: An int32 Tensor of shape [batch_size, k]; the row of each hypothesis
      in the input of `step_fn`.
  """

  word_ids: tf.Tensor
  log_probs: tf.Tensor
  is_end: tf.Tensor
  rows: tf.Tensor


def mask_out(mask: tf.Tensor, log_probs: tf.Tensor) -> tf.Tensor:
  """Returns log-probabilities, or `NEG_INF` where the mask is true."""
  return tf.where(mask, tf.constant(NEG_INF, log_probs.dtype), log_probs)


def initial_beams(
    batch_size: tf.Tensor,
    beam_size: int,
    max_length: int,
    start_id: int,
    dtype: tf.DType = tf.float64,
) -> Beams:
  """Returns beams with one hypothesis per image, the start word."""
  words_shape = tf.stack([batch_size, beam_size, max_length])
  is_empty = tf.tile([tf.range(beam_size) > 0], [batch_size, 1])
  log_probs = mask_out(is_empty, tf.zeros(tf.shape(is_empty), dtype))
  return Beams(
      word_ids=tf.fill(words_shape, start_id),
      lengths=tf.ones_like(log_probs, tf.int32),
      log_probs=log_probs,
      scores=log_probs,
      word_log_probs=tf.zeros(words_shape, dtype),
  )


def append_word(
    beams: Beams, word_ids: tf.Tensor | int, word_log_probs: tf.Tensor
) -> Beams:
  """Appends a word to each hypothesis.

  Args:
    beams: The hypotheses, all of one length, which is less than T.
    word_ids: An int32 Tensor of shape [batch_size, k], or one id for all.
    word_log_probs: A float64 Tensor of shape [batch_size, k]; `NEG_INF` empties
      the slot.

  Returns:
    The longer hypotheses, in the same order.
  """
  position = tf.range(beams.word_ids.shape[2])
  is_new = position == beams.lengths[..., tf.newaxis]
  words = tf.convert_to_tensor(word_ids)[..., tf.newaxis]
  log_probs = beams.log_probs + word_log_probs
  return Beams(
      word_ids=tf.where(is_new, words, beams.word_ids),
      lengths=beams.lengths + 1,
      log_probs=log_probs,
      scores=log_probs,
      word_log_probs=tf.where(
          is_new, word_log_probs[..., tf.newaxis], beams.word_log_probs
      ),
  )


def select(beams: Beams, ranks: tf.Tensor) -> Beams:
  """Returns the hypotheses at the given ranks.

  Args:
    beams: The hypotheses.
    ranks: An int32 Tensor of shape [batch_size, n].

  Returns:
    Beams of n slots.
  """
  return tf.nest.map_structure(
      lambda field: tf.gather(field, ranks, batch_dims=1), beams
  )


def remove(beams: Beams, mask: tf.Tensor) -> Beams:
  """Empties the slots where the mask, bool [batch_size, k], is true."""
  return beams._replace(
      log_probs=mask_out(mask, beams.log_probs),
      scores=mask_out(mask, beams.scores),
  )


def merge_best(earlier: Beams, later: Beams) -> Beams:
  """Returns the k best of 2 k hypotheses; of equal scores, the earlier one."""
  both = tf.nest.map_structure(
      lambda a, b: tf.concat([a, b], axis=1), earlier, later
  )
  # Of equal values, top_k takes the one with the smaller index.
  _, ranks = tf.math.top_k(both.scores, earlier.scores.shape[1])
  return select(both, ranks)


def choose_beams(mask: tf.Tensor, one: Beams, other: Beams) -> Beams:
  """Returns each image's hypotheses from `one` if its mask is true."""

  def choose_field(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.reshape(mask, [-1] + [1] * (a.shape.rank - 1)), a, b)

  return tf.nest.map_structure(choose_field, one, other)


def finish(
    live: Beams,
    proposals: Proposals,
    end_id: int,
    *,
    penalty: tf.Tensor,
) -> Beams:
  """Finishes the live hypotheses that propose the end word.

  Args:
    live: The live hypotheses.
    proposals: Their next words.
    end_id: Id of the end word.
    penalty: A scalar Tensor, by which log-probabilities are divided for scores.

  Returns:
    The finished hypotheses in the same order. The slots of those that do not
    propose the end word are empty.
  """
  end_log_probs = mask_out(~proposals.is_end, proposals.log_probs)
  # A hypothesis proposes the end word at most once.
  finished = append_word(live, end_id, tf.reduce_max(end_log_probs, axis=2))
  return finished._replace(scores=finished.log_probs / penalty)


def extend(live: Beams, proposals: Proposals) -> tuple[Beams, tf.Tensor]:
  """Extends live hypotheses by words other than the end word.

  Args:
    live: The live hypotheses before this step.
    proposals: Their next words.

  Returns:
    live: The k best live hypotheses after this step; of equal ones, those of
      earlier proposals.
    rows: An int32 Tensor of shape [batch_size, k]; the row in the input of
      `step_fn` of the hypothesis that each one extends.
  """
  beam_size, width = live.scores.shape[1], tf.shape(proposals.word_ids)[2]
  word_log_probs = mask_out(proposals.is_end, proposals.log_probs)
  log_probs = live.log_probs[:, :, tf.newaxis] + word_log_probs

  def flat(values: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, [-1, beam_size * width])

  _, order = tf.math.top_k(flat(log_probs), beam_size)
  parents = order // width
  extended = append_word(
      select(live, parents),
      tf.gather(flat(proposals.word_ids), order, batch_dims=1),
      tf.gather(flat(word_log_probs), order, batch_dims=1),
  )
  return extended, tf.gather(proposals.rows, parents, batch_dims=1)


class BeamSearchResult(NamedTuple):
  """The captions of a batch of images, the best of each image first.

  With the beam size k and the maximum length T. Rows of an image from
  `num_captions` on contain no caption: their length is 0, their log-probability
  and score are -infinity. Log-probabilities and scores are float64, or float32
  if that is the `dtype` of the search.

  Attributes:
    word_ids: An int32 Tensor of shape [batch_size, k, T]; the start word, the
      words and, if complete, the end word, padded with end words.
    lengths: An int32 Tensor of shape [batch_size, k]; the number of words of
      each caption, start and end word included.
    log_probs: A float64 Tensor of shape [batch_size, k]; the natural
      log-probabilities of the captions.
    scores: A float64 Tensor of shape [batch_size, k]; the scores by which
      captions are ranked.
    word_log_probs: A float64 Tensor of shape [batch_size, k, T]; the
      log-probability of each word, given those before it; 0 for start words and
      padding.
    is_complete: A bool Tensor of shape [batch_size]; whether the captions of an
      image are finished, so that each ends with the end word. Otherwise none
      of them is finished.
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
    step_fn: Function that computes one step of the decoder for n hypotheses;
      see `StepFn`. n varies from step to step. No probability may exceed 1.
    initial_state: The decoder state of each image before the start word, a
      Tensor of shape [batch_size, ...] or a structure of such Tensors.
    start_id: Id of the start word.
    end_id: Id of the end word.
    beam_size: Number of captions to keep per image; may exceed the vocabulary.
    max_caption_length: Maximum number of words, start and end word included.
    length_normalization_factor: If positive, the score of a finished caption is
      its log-probability divided by its length to this power. Otherwise, and
      for all unfinished captions, the score is the log-probability.
    dtype: Data type for sums of log-probabilities. float32 is for runtimes
      without float64; captions of nearly equal score may change places.
    static_shapes: Whether `step_fn` gets all k slots of each image in every
      step, empty ones too, so that all shapes follow from those of
      `initial_state`, as XLA needs. The result is the same.

  Returns:
    The finished captions, or the unfinished ones of an image that has no other.

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
  live, finished = search.run(
      initial_beams(batch_size, beam_size, max_caption_length, start_id, dtype),
      initial_state,
  )
  return _result(live, finished, end_id)


class _Search(NamedTuple):
  """The loop of a search.

  Attributes:
    step_fn: Function that computes one step of the decoder; see `StepFn`.
    end_id: Id of the end word.
    static_shapes: Whether `step_fn` gets empty slots too; see `beam_search`.
    penalties: A Tensor of shape [T + 1]; the divisor of the log-probability of
      a finished hypothesis, by its length.
  """

  step_fn: StepFn
  end_id: int
  static_shapes: bool
  penalties: tf.Tensor

  def run(self, live: Beams, initial_state: Any) -> tuple[Beams, Beams]:
    """Returns the live and the finished hypotheses after the search."""
    variables = (
        tf.constant(1),
        live,
        remove(live, True),
        initial_state,
    )
    _, live, finished, _ = tf.while_loop(
        self._should_continue,
        self._step,
        variables,
        # The batch size and the number of live hypotheses may be unknown.
        shape_invariants=tf.nest.map_structure(
            lambda v: tf.TensorShape([None, *v.shape[1:]][: v.shape.rank]),
            variables,
        ),
    )
    return live, finished

  def _should_continue(self, length, live, finished, state):
    del finished, state
    max_length = live.word_ids.shape[2]
    return (length < max_length) & tf.reduce_any(live.is_valid)

  def _step(self, length, live, finished, state):
    """Runs one step; `length` is the length of the live hypotheses."""
    in_step = self._in_step(live)
    last_words = live.word_ids[:, :, length - 1]
    probabilities, state = self.step_fn(
        self._flatten(last_words, in_step), state
    )
    proposals = _propose(
        probabilities,
        in_step,
        beam_size=live.scores.shape[1],
        end_id=self.end_id,
        dtype=self.penalties.dtype,
    )
    length += 1
    newly_finished = finish(
        live, proposals, self.end_id, penalty=self.penalties[length]
    )
    finished = merge_best(finished, newly_finished)
    live, rows = extend(live, proposals)
    highest_scores = live.log_probs / self.penalties[-1]
    live = remove(live, highest_scores <= finished.scores[:, -1:])
    rows = self._flatten(rows, self._in_step(live))
    state = tf.nest.map_structure(lambda s: tf.gather(s, rows), state)
    return length, live, finished, state

  def _in_step(self, live: Beams) -> tf.Tensor:
    """Returns which slots `step_fn` gets; a bool Tensor [batch_size, k]."""
    if self.static_shapes:
      return tf.ones_like(live.is_valid)
    return live.is_valid

  def _flatten(self, values: tf.Tensor, in_step: tf.Tensor) -> tf.Tensor:
    """Returns the values [batch_size, k] of these slots as one vector."""
    if self.static_shapes:
      return tf.reshape(values, [-1])
    return tf.boolean_mask(values, in_step)


def _penalties(
    max_length: int, length_normalization_factor: float, dtype: tf.DType
) -> tf.Tensor:
  """Returns `_Search.penalties`, all 1 if scores are not normalized."""
  lengths = np.arange(max_length + 1, dtype=np.float64)
  return tf.constant(lengths ** max(length_normalization_factor, 0.0), dtype)


def _propose(
    probabilities: tf.Tensor,
    in_step: tf.Tensor,
    *,
    beam_size: int,
    end_id: int,
    dtype: tf.DType,
) -> Proposals:
  """Returns the proposals of each live hypothesis.

  Args:
    probabilities: A float32 Tensor of shape [n, vocab_size].
    in_step: A bool Tensor of shape [batch_size, beam_size] with n true values;
      the slots that the probabilities belong to.
    beam_size: Maximum number of proposals per hypothesis.
    end_id: Id of the end word.
    dtype: Data type of the log-probabilities.

  Returns:
    The proposals. Those of other slots have the log-probability `NEG_INF`.
  """
  # Of equal probabilities, top_k takes the smaller id.
  width = tf.minimum(beam_size, tf.shape(probabilities)[1])
  values, word_ids = tf.math.top_k(probabilities, width)
  values = tf.cast(values, dtype)
  log_probs = tf.math.log(values)
  if dtype == tf.float64:
    log_probs = tf.round(log_probs * _LOG_STEPS) / _LOG_STEPS
  log_probs = mask_out(values < _MIN_PROBABILITY, log_probs)

  # All slots that are not in the step share one more row after the others.
  rows = tf.cumsum(tf.cast(tf.reshape(in_step, [-1]), tf.int32)) - 1
  rows = tf.reshape(rows, [-1, beam_size])
  rows = tf.where(in_step, rows, tf.shape(probabilities)[0])
  one_more = [[0, 1], [0, 0]]
  word_ids = tf.gather(tf.pad(word_ids, one_more), rows)
  log_probs = tf.pad(log_probs, one_more, constant_values=NEG_INF)
  log_probs = tf.gather(log_probs, rows)
  return Proposals(word_ids, log_probs, word_ids == end_id, rows)


def _result(live: Beams, finished: Beams, end_id: int) -> BeamSearchResult:
  """Returns the finished hypotheses of each image, or else the live ones."""
  is_complete = finished.is_valid[:, 0]
  captions = choose_beams(is_complete, finished, live)
  lengths = tf.where(captions.is_valid, captions.lengths, 0)
  is_word = tf.sequence_mask(lengths, captions.word_ids.shape[2])
  return BeamSearchResult(
      word_ids=tf.where(is_word, captions.word_ids, end_id),
      lengths=lengths,
      log_probs=captions.log_probs,
      scores=captions.scores,
      word_log_probs=tf.where(is_word, captions.word_log_probs, 0.0),
      is_complete=is_complete,
      num_captions=tf.reduce_sum(tf.cast(captions.is_valid, tf.int32), 1),
  )
