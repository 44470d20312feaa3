r"""Samples captions, and computes the likelihood of given ones, in the graph.

`draw_captions` draws each next word from the model's distribution, or takes the
most likely one (greedy decoding). `beam_search` searches for the most likely
captions.

`CaptionLikelihood` scores many captions for each of many images. Captions share
prefixes: 5,000 captions of Flickr8k have 64,126 words to predict, but only
45,320 different prefixes to predict them from. So captions are put in a prefix
tree, with a node for each prefix that has a next word,

                   /-> a -> dog -> runs
    image -> <S> ->
                   \-> two -> ...

and the LSTM and the softmax are computed once per node and image. Level by
level, the states of the nodes are computed from those of their parents:

    states [n, state_size] --words--> states --> logits --> log-probabilities
                                                            of the next words

Three quarters of the work are the logits of all words of the vocabulary, which
the normalization needs. To limit memory, at most `_ROWS_AT_ONCE` rows of logits
are computed at a time.

With the sizes of the released model, these captions take 750 GFLOP per image: 8
to 9 seconds on one core of an AMD EPYC with AVX-512, at 90 GFLOP/s. 1,000
images with 5,000 captions take well over two hours on such a core, and 1.2 GB
of memory.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple
from typing import Protocol

import numpy as np
import tensorflow as tf

# Rows of logits per product, which take 100 MB with 12,000 words.
_ROWS_AT_ONCE = 2048


# `CaptionDecoder.decode_step`, or a function with the same signature.
DecodeStep = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Decoder(Protocol):
  """The methods of `caption_decoder.CaptionDecoder` that are used here."""

  def next_state(self, input_ids: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
    """Returns the states after one more word per caption."""

  def next_log_probs(
      self, state: tf.Tensor, rows: tf.Tensor, word_ids: tf.Tensor
  ) -> tf.Tensor:
    """Returns the log-probabilities of given next words."""


class Level(NamedTuple):
  """The nodes at one depth of the prefix tree: distinct prefixes of one length.

  Attributes:
    word_ids: An int32 array of shape [num_nodes]; the last word of each prefix.
    parents: An int32 array of shape [num_nodes]; the node of the previous level
      that each prefix extends.
    next_nodes: An int32 array of shape [num_words]; the node that each next
      word follows.
    next_word_ids: An int32 array of shape [num_words]; the next words.
    captions: An int32 array of shape [num_words]; the number of the caption of
      each next word.
  """

  word_ids: np.ndarray
  parents: np.ndarray
  next_nodes: np.ndarray
  next_word_ids: np.ndarray
  captions: np.ndarray


def make_tree(captions: Sequence[Sequence[int]]) -> list[Level]:
  """Builds the prefix tree of captions.

  Args:
    captions: Word ids of each caption, start and end word included.

  Returns:
    The levels of the tree, from that of the start word on.
  """
  levels = []
  nodes = [0] * len(captions)  # The node of each caption on the last level.
  for depth in range(max(map(len, captions), default=1) - 1):
    longer = [c for c, ids in enumerate(captions) if len(ids) > depth + 1]
    numbers: dict[tuple[int, int], int] = {}
    for caption in longer:
      key = nodes[caption], captions[caption][depth]
      nodes[caption] = numbers.setdefault(key, len(numbers))
    columns = (
        [word_id for _, word_id in numbers],
        [parent for parent, _ in numbers],
        [nodes[caption] for caption in longer],
        [captions[caption][depth + 1] for caption in longer],
        longer,
    )
    levels.append(Level(*(np.array(column, np.int32) for column in columns)))
  return levels


class CaptionLikelihood:
  """The log-likelihoods of given captions as a function of the image."""

  def __init__(self, decoder: Decoder, captions: Sequence[Sequence[int]]):
    """Builds the prefix tree of the captions.

    Args:
      decoder: Decoder that predicts the words.
      captions: Word ids of each caption, start and end word included.
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
    """The number of decoder steps per image."""
    return sum(len(level.word_ids) for level in self._levels)

  def of_image(self, state: tf.Tensor) -> np.ndarray:
    """Returns the log-likelihoods of the captions, given an image.

    Args:
      state: A float32 Tensor of shape [state_size]; the decoder's state after
        the image.

    Returns:
      A float64 array of shape [num_captions]; natural logarithms of the
      probabilities, end words included.
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
      the end word, which is missing in captions that were cut off.
    lengths: An int32 Tensor of shape [num_captions]; the number of words of
      each caption, end word included.
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
  """Draws a caption from each state, until all are finished.

  Args:
    decode_step: Function of the last words and the states that returns the
      probabilities of the next words and the new states.
    states: A float32 Tensor of shape [num_captions, state_size]; the decoder's
      states after the images and before the start words.
    start_id: Id of the start word.
    end_id: Id of the end word.
    max_length: Maximum number of words of a caption, end word included.
    seed: An integer Tensor of shape [2]; the seed for the words. If None, each
      word is the most likely one.
    pad_to_max_length: Whether the result is padded to `max_length`, so that all
      shapes are known when XLA compiles the computation.

  Returns:
    The `DrawnCaptions`.
  """
  num_captions = tf.shape(states)[0]

  def draw_words(step, last_words, states, is_live, lengths, words):
    probabilities, states = decode_step(last_words, states)
    num_new = tf.cast(is_live, tf.int32)
    drawn = _next_words(probabilities, step, seed) * num_new
    words = words.write(step, drawn)
    is_live &= drawn != end_id
    return step + 1, drawn, states, is_live, lengths + num_new, words

  num_steps, *_, lengths, words = tf.while_loop(
      lambda step, last_words, states, is_live, *_: tf.reduce_any(is_live),
      draw_words,
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
