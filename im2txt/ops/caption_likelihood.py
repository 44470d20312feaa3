r"""The likelihood of many captions for each of many images.

Captions begin alike: 5,000 of Flickr8k's have 64,126 words to predict, but only
45,320 different beginnings to predict them from. So captions are put in a tree,
which has a node for each beginning that goes on,

                   /-> a -> dog -> runs
    image -> <S> ->
                   \-> two -> ...

and of each node and image LSTM and softmax are computed once. Level after
level, states of a level's nodes come from those of their parents:

    states [n, state_size] --words--> states --> logits --> log-probabilities
                                                            of the next words

Three quarters of the work are the logits of all words of the vocabulary, which
the normalisation needs; no more than some thousand rows of them exist at a
time, and of these only what captions go on with is kept.

With the released model's sizes, those captions take 750 GFLOP an image: 8 to 9
seconds of one core of an AMD EPYC with AVX-512, at 90 GFLOP a second. 1,000
images with 5,000 captions take well over two hours of such a core, and 1.2 GB
of memory.
"""

from collections.abc import Sequence
from typing import NamedTuple
from typing import Protocol

import numpy as np
import tensorflow as tf

# Rows of logits at a time: 100 MB with a vocabulary of 12,000 words.
_ROWS_AT_ONCE = 2048


class Decoder(Protocol):
  """What predicts words; a `caption_decoder.CaptionDecoder`."""

  def next_state(self, input_ids: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
    """The states after one more word each."""

  def next_log_probs(
      self, state: tf.Tensor, rows: tf.Tensor, word_ids: tf.Tensor
  ) -> tf.Tensor:
    """The log-probabilities of certain next words."""


class Level(NamedTuple):
  """All different beginnings of so many words, of captions that go on.

  Attributes:
    word_ids: The last word of each; an int32 array of shape [num_nodes].
    parents: Which node of the level before it goes on from; an int32 array of
      shape [num_nodes].
    next_nodes: For each caption that goes on, its node; an int32 array.
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
    """The captions' log-likelihoods, given an image.

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
