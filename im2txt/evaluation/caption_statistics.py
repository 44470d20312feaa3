"""Statistics of captions: diversity, and novelty relative to training captions.

Vinyals et al., arXiv 1609.06647, "Generation Diversity Discussion", count the
captions that occur in the training set: 80% of their model's best captions, and
about half of the 15 best. Li et al., arXiv 1510.03055, define distinct-1 and
distinct-2.
"""

from collections.abc import Collection
from collections.abc import Sequence
import itertools
from typing import NamedTuple


class Statistics(NamedTuple):
  """Statistics of a set of tokenized captions.

  Attributes:
    num_captions: The number of captions, including all n-best captions.
    num_empty: The number of captions without words.
    num_distinct: The number of distinct captions.
    num_words: The number of distinct words, that is, the vocabulary in use.
    distinct_1: `num_words` divided by the number of all words, in [0, 1].
    distinct_2: The number of distinct bigrams divided by the number of all
      words (not of all bigrams), in [0, 1].
    mean_length: The mean number of words per caption.
    in_training: The fraction of captions that occur verbatim in the training
      set, in [0, 1]; None if the training captions are unknown.
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
    """The fraction of captions that do not occur in the training set."""
    return None if self.in_training is None else 1 - self.in_training


def compute(
    captions: Sequence[str], training_captions: Collection[str] | None = None
) -> Statistics:
  """Computes the statistics of captions.

  Args:
    captions: One or more tokenized captions, with words separated by spaces.
    training_captions: The tokenized captions of the training set, if known;
      preferably a set, for speed.

  Returns:
    The statistics.

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
    num_known = sum(caption in training_captions for caption in captions)
    in_training = num_known / len(captions)
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
