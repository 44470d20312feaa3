"""Beam search in Python, one image at a time: the readable reference.

`ops/beam_search.py` is the fast version and produces the same captions. This
one takes any model that can encode an image and extend captions by a word:

    generator = caption_generator.CaptionGenerator(model, vocab, beam_size=3)
    for caption in generator.beam_search(None, encoded_image):
      print([vocab.id_to_word(w) for w in caption.sentence], caption.logprob)

The search is that of the original in 2016 to 2018. The last official release
has a bug: it proposes all words except the best ones. Captions of equal score
are ranked in the order in which they were proposed, and words of equal
probability by their ids. In the original both depend on the layout of a heap;
here the result is well defined.
"""

from collections.abc import Sequence
import dataclasses
import functools
import heapq
import math
from typing import Any
from typing import Generic
from typing import Protocol
from typing import TypeVar

import numpy as np

# Words less likely than this are not proposed.
MIN_PROBABILITY = 1e-12

# Log-probabilities are rounded to multiples of 1 / LOG_STEPS. Their sums are
# then exact: captions of equally likely words tie in any order, and the last
# bit of a library's logarithm does not matter.
LOG_STEPS = 2.0**43

_Item = TypeVar("_Item")


class Vocabulary(Protocol):
  """The part of a vocabulary that the search uses."""

  start_id: int
  end_id: int


class Model(Protocol):
  """A model that describes an image word by word."""

  def feed_image(self, sess: Any, encoded_image: bytes) -> np.ndarray:
    """Returns the state after the image, float32 [1, state_size]."""

  def inference_step(
      self, sess: Any, input_feed: np.ndarray, state_feed: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, Sequence[Any] | None]:
    """Extends n captions by a word.

    Args:
      sess: The argument of `beam_search`.
      input_feed: An int64 array of shape [n], the last word of each caption.
      state_feed: A float32 array of shape [n, state_size].

    Returns:
      The distribution of the next word, a float32 array of shape
      [n, vocab_size]; the new states, of shape [n, state_size]; and metadata
      for each caption, or None.
    """


@functools.total_ordering
@dataclasses.dataclass(eq=False)
class Caption:
  """A complete or partial caption; compared by score only.

  Attributes:
    sentence: The word ids, including the start word and, in a complete caption,
      the end word.
    state: The model's state before the last word, of shape [state_size].
    logprob: Natural logarithm of the probability of the sentence.
    score: Value by which captions are ranked.
    metadata: An empty entry, then the model's metadata of each step; None if
      the model returns none.
  """

  sentence: list[int]
  state: np.ndarray
  logprob: float
  score: float
  metadata: list[Any] | None = None

  def __eq__(self, other: object) -> bool:
    return isinstance(other, Caption) and self.score == other.score

  def __lt__(self, other: "Caption") -> bool:
    return self.score < other.score


class TopN(Generic[_Item]):
  """The n greatest of the items pushed; of equal ones, the earlier."""

  def __init__(self, n: int):
    self._n = n
    # None after `extract`.
    self._entries: list[tuple[_Item, int]] | None = []
    self._num_pushed = 0

  def size(self) -> int:
    """Returns the number of items."""
    return len(self._kept())

  def push(self, item: _Item) -> None:
    """Adds an item; if there are n already, drops the least."""
    kept = self._kept()
    # The second element breaks ties: of equal items, the later is less.
    entry = (item, -self._num_pushed)
    self._num_pushed += 1
    if len(kept) < self._n:
      heapq.heappush(kept, entry)
    else:
      heapq.heappushpop(kept, entry)

  def extract(self, sort: bool = False) -> list[_Item]:
    """Returns the items; afterwards, only `reset` may be called.

    Args:
      sort: Whether to sort the items in descending order, equal ones in the
        order in which they were pushed.

    Returns:
      The items, at most n.
    """
    kept = self._kept()
    self._entries = None
    if sort:
      kept.sort(reverse=True)
    return [item for item, _ in kept]

  def reset(self) -> None:
    """Removes all items."""
    self._entries = []
    self._num_pushed = 0

  def _kept(self) -> list[tuple[_Item, int]]:
    if self._entries is None:
      raise RuntimeError("The items were extracted: call reset() first.")
    return self._entries


class CaptionGenerator:
  """Finds the most likely captions of an image by beam search.

  Args:
    model: The model.
    vocab: The vocabulary, with the ids of the start word and the end word.
    beam_size: Number of partial captions, and of complete ones, to keep.
    max_caption_length: Maximum number of words, including the start word and
      the end word.
    length_normalization_factor: If positive, the score of a complete caption is
      its log-probability divided by its length to this power; greater values
      favor longer captions. Otherwise the score is the log-probability.
  """

  def __init__(
      self,
      model: Model,
      vocab: Vocabulary,
      beam_size: int = 3,
      max_caption_length: int = 20,
      length_normalization_factor: float = 0.0,
  ):
    if beam_size < 1 or max_caption_length < 1:
      raise ValueError(
          "beam_size and max_caption_length must be at least 1. Got:"
          f" {beam_size} and {max_caption_length}."
      )
    self.model = model
    self.vocab = vocab
    self.beam_size = beam_size
    self.max_caption_length = max_caption_length
    self.length_normalization_factor = length_normalization_factor

  def beam_search(self, sess: Any, encoded_image: bytes) -> list[Caption]:
    """Returns captions of an image, the best first.

    Args:
      sess: Passed to the model.
      encoded_image: Passed to the model.

    Returns:
      At most `beam_size` captions in descending order of score: the complete
      ones or, if none is complete within `max_caption_length`, partial ones.
    """
    initial_state = self.model.feed_image(sess, encoded_image)
    partial: TopN[Caption] = TopN(self.beam_size)
    complete: TopN[Caption] = TopN(self.beam_size)
    partial.push(
        Caption([self.vocab.start_id], initial_state[0], 0.0, 0.0, [""])
    )
    for _ in range(self.max_caption_length - 1):
      live = partial.extract(sort=True)
      partial.reset()
      for caption in self._proposals(sess, live):
        is_complete = caption.sentence[-1] == self.vocab.end_id
        (complete if is_complete else partial).push(caption)
      if not partial.size():
        break
    return (complete if complete.size() else partial).extract(sort=True)

  def _proposals(self, sess: Any, captions: list[Caption]) -> list[Caption]:
    """Returns each caption extended by its `beam_size` likeliest words."""
    softmax, states, metadata = self.model.inference_step(
        sess,
        np.array([caption.sentence[-1] for caption in captions], np.int64),
        np.array([caption.state for caption in captions]),
    )
    proposals = []
    for i, caption in enumerate(captions):
      for word in np.argsort(-softmax[i], kind="stable")[: self.beam_size]:
        probability = float(softmax[i][word])
        if probability < MIN_PROBABILITY:
          continue
        sentence = [*caption.sentence, int(word)]
        logprob = caption.logprob + _log(probability)
        kept = None
        if metadata is not None:
          kept = [*(caption.metadata or []), metadata[i]]
        score = self._score(sentence, logprob)
        proposals.append(Caption(sentence, states[i], logprob, score, kept))
    return proposals

  def _score(self, sentence: list[int], logprob: float) -> float:
    if self.length_normalization_factor > 0 and (
        sentence[-1] == self.vocab.end_id
    ):
      return logprob / len(sentence) ** self.length_normalization_factor
    return logprob


def _log(probability: float) -> float:
  return round(math.log(probability) * LOG_STEPS) / LOG_STEPS
