"""Beam search on the host, one image at a time: the readable reference.

`ops/beam_search.py` is the fast form and finds the same captions. This one
takes any model that can feed an image and advance a state by one word:

    generator = caption_generator.CaptionGenerator(model, vocab, beam_size=3)
    for caption in generator.beam_search(None, encoded_image):
      print([vocab.id_to_word(w) for w in caption.sentence], caption.logprob)

The search is that of 2016 to 2018. The last official release of im2txt
proposed every word but the best ones by mistake; here the best are proposed.
Captions of equal score are ranked by the order in which they were found, and
words of equal probability by their ids, where the original left both to the
layout of its heap; so the result is well defined.
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

# Log-probabilities are multiples of 1 / this. Sums of a caption's length are
# then exact, so that captions made of equally likely words tie whatever their
# order, and whichever last bit a library's logarithm has.
LOG_STEPS = 2.0**43

_Item = TypeVar("_Item")


class Vocabulary(Protocol):
  """What the search needs to know of a vocabulary."""

  start_id: int
  end_id: int


class Model(Protocol):
  """A model that describes an image word by word."""

  def feed_image(self, sess: Any, encoded_image: bytes) -> np.ndarray:
    """Returns the state after the image, float32 [1, state_size]."""

  def inference_step(
      self, sess: Any, input_feed: np.ndarray, state_feed: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, Sequence[Any] | None]:
    """Advances captions by a word.

    Args:
      sess: What `beam_search` was given.
      input_feed: An int64 array of shape [n]; the captions' last words.
      state_feed: A float32 array of shape [n, state_size].

    Returns:
      A float32 array of shape [n, vocab_size], the next word's distribution;
      the new states of shape [n, state_size]; and something to keep with each
      of the n captions, or None.
    """


@functools.total_ordering
@dataclasses.dataclass(eq=False)
class Caption:
  """A caption, complete or not; compared by its score alone.

  Attributes:
    sentence: The word ids, the start word included and, in a complete caption,
      the end word.
    state: The model's state after the last word but one, of shape [state_size].
    logprob: The natural logarithm of the sentence's probability.
    score: What captions are ranked by.
    metadata: What the model gave at each step after the first entry; None if it
      gave nothing.
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
  """Keeps the n greatest of the items pushed; of equal ones the earlier."""

  def __init__(self, n: int):
    self._n = n
    # None after the items were given away.
    self._entries: list[tuple[_Item, int]] | None = []
    self._num_pushed = 0

  def size(self) -> int:
    """Returns how many items are kept."""
    return len(self._kept())

  def push(self, item: _Item) -> None:
    """Adds an item, which may drive out the least or be dropped itself."""
    kept = self._kept()
    # The second member decides between equal items: the later is the lesser.
    entry = (item, -self._num_pushed)
    self._num_pushed += 1
    if len(kept) < self._n:
      heapq.heappush(kept, entry)
    else:
      heapq.heappushpop(kept, entry)

  def extract(self, sort: bool = False) -> list[_Item]:
    """Gives the items away; only `reset` may follow.

    Args:
      sort: Whether to put them in descending order, equal ones as pushed.

    Returns:
      The items, at most n.
    """
    kept = self._kept()
    self._entries = None
    if sort:
      kept.sort(reverse=True)
    return [item for item, _ in kept]

  def reset(self) -> None:
    """Starts again with no item."""
    self._entries = []
    self._num_pushed = 0

  def _kept(self) -> list[tuple[_Item, int]]:
    if self._entries is None:
      raise RuntimeError("The items were extracted: call reset() first.")
    return self._entries


class CaptionGenerator:
  """Finds the most likely captions of an image by beam search.

  Args:
    model: Advances the captions.
    vocab: Knows the ids of the start and the end word.
    beam_size: How many captions to keep, of those going on and of those that
      have come to the end word.
    max_caption_length: The most words of a caption, the start and the end word
      included.
    length_normalization_factor: If positive, a complete caption's score is its
      log-probability over its length to this power; the greater, the longer
      the captions. Otherwise the score is the log-probability.
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
      sess: Handed to the model.
      encoded_image: Handed to the model.

    Returns:
      At most `beam_size` captions by descending score: those that came to the
      end word or, if none did within `max_caption_length`, those without it.
    """
    initial_state = self.model.feed_image(sess, encoded_image)
    partial: TopN[Caption] = TopN(self.beam_size)
    complete: TopN[Caption] = TopN(self.beam_size)
    partial.push(
        Caption([self.vocab.start_id], initial_state[0], 0.0, 0.0, [""])
    )
    for _ in range(self.max_caption_length - 1):
      going_on = partial.extract(sort=True)
      partial.reset()
      for caption in self._proposals(sess, going_on):
        ended = caption.sentence[-1] == self.vocab.end_id
        (complete if ended else partial).push(caption)
      if not partial.size():
        break
    return (complete if complete.size() else partial).extract(sort=True)

  def _proposals(self, sess: Any, captions: list[Caption]) -> list[Caption]:
    """Yields each caption with each of its `beam_size` likeliest words."""
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
