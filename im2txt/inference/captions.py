"""Converts beam search output to captions."""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import math
from typing import NamedTuple

from absl import logging
import numpy as np
import tensorflow as tf

from im2txt.inference_utils import vocabulary
from im2txt.ops import beam_search


@dataclasses.dataclass(frozen=True, kw_only=True)
class Caption:
  """A caption of an image.

  Attributes:
    words: The words, without the start word and the end word.
    log_probability: Natural logarithm of the probability of the words and, in a
      complete caption, of the end word after them.
    word_probabilities: Probability of each word, given the words before it.
    end_probability: Probability of the end word after the words; None if the
      caption reached the maximum length without the end word.
    score: Value by which captions are ranked: the log-probability, divided by
      length ** normalization factor if the factor is positive.
  """

  words: tuple[str, ...]
  log_probability: float
  word_probabilities: tuple[float, ...]
  end_probability: float | None
  score: float

  @property
  def sentence(self) -> str:
    """The words, separated by spaces."""
    return " ".join(self.words)

  @property
  def probability(self) -> float:
    """The probability of the caption.

    At least the smallest float above 0, even where the exponential underflows.
    """
    return max(math.exp(self.log_probability), math.ulp(0.0))

  @property
  def is_complete(self) -> bool:
    """Whether the caption ends with the end word."""
    return self.end_probability is not None


class FileCaptions(NamedTuple):
  """The captions of an image file, or the reason why it has none.

  Attributes:
    file: The path of the file.
    captions: The captions, the best first; empty if `error` is set.
    error: Why the file could not be captioned; empty if it was.
  """

  file: str
  captions: Sequence[Caption]
  error: str = ""


def from_search(
    result: beam_search.BeamSearchResult, vocab: vocabulary.Vocabulary
) -> Iterator[list[Caption]]:
  """Converts the captions of a batch from word ids to words.

  Only the end word of a complete caption is removed; an incomplete caption
  keeps its last word, which the original dropped.

  Args:
    result: The output of the beam search, as eager tensors.
    vocab: The vocabulary. Ids beyond it become the unknown word, and a warning
      is logged.

  Yields:
    The captions of each image, the best first.
  """
  beams = tf.nest.map_structure(lambda tensor: tensor.numpy(), result)
  for image, num_captions in enumerate(beams.num_captions):
    captions = []
    for rank, length in enumerate(beams.lengths[image, :num_captions]):
      word_log_probs = beams.word_log_probs[image, rank, 1:length]
      probabilities = np.exp(word_log_probs).tolist()
      end_probability = (
          probabilities.pop() if beams.is_complete[image] else None
      )
      word_ids = beams.word_ids[image, rank, 1 : 1 + len(probabilities)]
      _check_known(word_ids, vocab)
      captions.append(
          Caption(
              words=tuple(vocab.id_to_word(word_id) for word_id in word_ids),
              log_probability=float(beams.log_probs[image, rank]),
              word_probabilities=tuple(probabilities),
              end_probability=end_probability,
              score=float(beams.scores[image, rank]),
          )
      )
    yield captions


def _check_known(word_ids: np.ndarray, vocab: vocabulary.Vocabulary) -> None:
  """Warns, once, if the vocabulary has fewer words than the model."""
  num_words = len(vocab.reverse_vocab)
  if max(word_ids, default=0) >= num_words:
    logging.log_first_n(
        logging.WARNING,
        "The model predicts word id %d, but the vocabulary has %d words. Either"
        " the model was trained with another vocabulary, or it is untrained.",
        1,
        max(word_ids),
        num_words,
    )
