r"""Samples captions, and computes the likelihood of given ones, in the graph.

`draw_captions` draws each next word from the model's distribution, or takes the
most likely one (greedy decoding). `beam_search` searches for the most likely
captions.

`CaptionLikelihood` scores many captions for each of many images. Captions share
beginnings: 5,000 captions of Flickr8k have 64,126 words to predict, but only
45,320 different beginnings to predict them from. So captions are put in a tree
with a node for each beginning that continues,

                   /-> a -> dog -> runs
    image -> <S> ->
                   \-> two -> ...

and LSTM and softmax are computed once per node and image. Level by level, the
states of the nodes follow from those of their parents:

    states [n, state_size] --words--> states --> logits --> log-probabilities
                                                            of the next words

Three quarters of the work are the logits of all words of the vocabulary, which
the normalization needs; at most some thousand rows of them exist at a time.

With the released model's sizes, these captions take 750 GFLOP per image: 8 to 9
seconds of one core of an AMD EPYC with AVX-512, at 90 GFLOP per second. 1,000
images with 5,000 captions take well over two hours of such a core, and 1.2 GB
of memory.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple
from typing import Protocol

import numpy as np
import tensorflow as tf

# Rows of logits at a time: 100 MB with a vocabulary of 12,000 words.
_ROWS_AT_ONCE = 2048


# As `CaptionDecoder.decode_step`.
DecodeStep = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Decoder(Protocol):
  """What predicts words; a `caption_decoder.CaptionDecoder`."""

  def next_state(self, input_ids: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
    """Returns the states after one more word each."""

  def next_log_probs(
      self, state: tf.Tensor, rows: tf.Tensor, word_ids: tf.Tensor
  ) -> tf.Tensor:
    """Returns the log-probabilities of certain next words."""


class Level(NamedTuple):
  """The distinct beginnings of a length, of captions that are longer.

  Attributes:
    word_ids: The last word of each; an int32 array of shape [num_nodes].
    parents: The node of the level before that it extends; an int32 array of
      shape [num_nodes].
    next_nodes: The node of each longer caption; an int32 array.
    next_word_ids: And the word that comes next; an int32 array.
    captions: And which caption it is; an int32 array.
  """

  word_ids: np.ndarray
  parents: np.ndarray
  next_nodes: np.ndarray
  next_word_ids: np.ndarray
  captions: np.ndarray


def make_tree(captions: Sequence[Sequence[int]]) -> list[Level]:
  """Puts captions in a tree.

  Args:
    captions: Their word ids, with start and end word.

  Returns:
    The levels, the start word's first.
  """
  levels = []
  nodes = [0] * len(captions)  # Of each caption, on the level before.
  for depth in range(max(map(len, captions), default=1) - 1):
    going_on = [c for c, ids in enumerate(captions) if len(ids) > depth + 1]
    numbers: dict[tuple[int, int], int] = {}
    for caption in going_on:
      key = nodes[caption], captions[caption][depth]
      nodes[caption] = numbers.setdefault(key, len(numbers))
    columns = (
        [word_id for _, word_id in numbers],
        [parent for parent, _ in numbers],
        [nodes[caption] for caption in going_on],
        [captions[caption][depth + 1] for caption in going_on],
        going_on,
    )
    levels.append(Level(*(np.array(column, np.int32) for column in columns)))
  return levels


class CaptionLikelihood:
  """Computes log-likelihoods of given captions."""

  def __init__(self, decoder: Decoder, captions: Sequence[Sequence[int]]):
    """Puts the captions in a tree.

    Args:
      decoder: Predicts the words.
      captions: Their word ids, with start and end word.
    """
    self._levels = make_tree(captions)
    self._num_captions = len(captions)

    def advance(word_ids, parents, states):
      return decoder.next_state(word_ids, tf.gather(states, parents))

    ids = tf.TensorSpec([None], tf.int32)
    states = tf.TensorSpec([None, None])
    self._advance = tf.function(
        advance, input_signature=[ids, ids, states], autograph=False
    )
    self._log_probs = tf.function(
        decoder.next_log_probs,
        input_signature=[states, ids, ids],
        autograph=False,
    )

  @property
  def num_nodes(self) -> int:
    """How many steps of the decoder an image takes."""
    return sum(len(level.word_ids) for level in self._levels)

  def of_image(self, state: tf.Tensor) -> np.ndarray:
    """Returns the captions' log-likelihoods, given an image.

    Args:
      state: A float32 Tensor of shape [state_size], after the image.

    Returns:
      A float64 array of shape [num_captions]: natural logarithms, end words
      included.
    """
    total = np.zeros(self._num_captions)
    states = state[tf.newaxis]
    for level in self._levels:
      states = self._advance(level.word_ids, level.parents, states)
      order = np.argsort(level.next_nodes, kind="stable")
      nodes = level.next_nodes[order]
      for start in range(0, len(level.word_ids), _ROWS_AT_ONCE):
        end = min(start + _ROWS_AT_ONCE, len(level.word_ids))
        chosen = order[slice(*np.searchsorted(nodes, [start, end]))]
        total[level.captions[chosen]] += self._log_probs(
            states[start:end],
            level.next_nodes[chosen] - start,
            level.next_word_ids[chosen],
        )
    return total


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
    pad_to_max_length: bool = False,
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
    pad_to_max_length: Whether the result is padded to `max_length`, so that all
      shapes are known when XLA compiles the computation.

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
  if pad_to_max_length:
    word_ids = words.stack()
  else:
    word_ids = words.gather(tf.range(num_steps))
  return DrawnCaptions(tf.transpose(word_ids), lengths)


def _next_words(
    probabilities: tf.Tensor, step: tf.Tensor, seed: tf.Tensor | None
) -> tf.Tensor:
  """Returns the words of a step, an int32 Tensor of shape [num_captions]."""
  if seed is None:
    return tf.argmax(probabilities, axis=1, output_type=tf.int32)
  return tf.random.stateless_categorical(
      tf.math.log(probabilities),
      1,
      seed=tf.random.experimental.stateless_fold_in(seed, step),
      dtype=tf.int32,
  )[:, 0]
