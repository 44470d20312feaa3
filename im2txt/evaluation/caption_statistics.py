"""How varied captions are, and how many are new: figures beyond the scores.

Vinyals et al., arXiv 1609.06647, "Generation Diversity Discussion", ask which
captions occur in the training set: of their model's best captions 80% do, of
the 15 best about half. Li et al., arXiv 1510.03055, define distinct-1 and
distinct-2.
"""

from collections.abc import Collection
from collections.abc import Sequence
import itertools
from typing import NamedTuple


class Statistics(NamedTuple):
  """Figures of a set of captions; a word is what a tokenizer says it is.

  Attributes:
    num_captions: How many captions there are, an image's n best all counted.
    num_empty: How many of them have no words.
    num_distinct: The number of different captions.
    num_words: The number of different words: the vocabulary in use.
    distinct_1: `num_words` by the number of all words, in [0, 1].
    distinct_2: The number of different pairs of neighbouring words by the
      number of all words (not of all pairs), in [0, 1].
    mean_length: The number of all words by the number of captions.
    in_training: The share of captions that are, word for word, captions of the
      training set; None if those are unknown.
  """

  num_captions: int
  num_empty: int
  num_distinct: int
  num_words: int
  distinct_1: float
  distinct_2: float
  mean_length: float
  in_training: float | None

  @property
  def novelty(self) -> float | None:
    """The share of captions that the training set doesn't have."""
    return None if self.in_training is None else 1 - self.in_training


def compute(
    captions: Sequence[str], training_captions: Collection[str] | None = None
) -> Statistics:
  """Computes the figures.

  Args:
    captions: At least one, split into words that are separated by a space.
    training_captions: Those of the training set, split by the same rules; as a
      set, if they are many.

  Returns:
    The figures.

  Raises:
    ValueError: If there are no captions.
  """
  if not captions:
    raise ValueError("There are no captions to count.")
  sentences = [caption.split() for caption in captions]
  total = sum(map(len, sentences))
  words = {word for sentence in sentences for word in sentence}
  pairs = {
      pair for sentence in sentences for pair in itertools.pairwise(sentence)
  }
  in_training = None
  if training_captions is not None:
    found = sum(caption in training_captions for caption in captions)
    in_training = found / len(captions)
  return Statistics(
      num_captions=len(captions),
      num_empty=sentences.count([]),
      num_distinct=len(set(captions)),
      num_words=len(words),
      distinct_1=len(words) / max(total, 1),
      distinct_2=len(pairs) / max(total, 1),
      mean_length=total / len(captions),
      in_training=in_training,
  )
