"""Ranks captions for images, and images for captions, by the model itself.

How well does a model tell which caption belongs to which image? Vinyals et al.
(arXiv 1411.4555, section 4.3.5) rank by the likelihood of a caption given an
image and report, for either direction,

    recall at 1, 5 and 10   how often a right one is among the first so many
    median rank             of the first right one; 1 is perfect

The score is log p(caption | image), end word included. It is higher for shorter
captions, so captions are ranked by its mean over the words as well; which of
the images a caption fits best does not depend on that.
"""

from collections.abc import Sequence
import time
from typing import NamedTuple

from absl import logging
import numpy as np
import tensorflow as tf

from im2txt import show_and_tell_model
from im2txt.input_data import caption_data
from im2txt.input_data import distinct_images
from im2txt.ops import caption_likelihood

RECALL_AT = (1, 5, 10)

_LOG_SECS = 30.0


class Ranks(NamedTuple):
  """The figures of one direction.

  Attributes:
    recalls: By how many of the first count, the share of queries that have a
      right one among them.
    median: The median rank of the first right one.
  """

  recalls: dict[int, float]
  median: float


class Ranking(NamedTuple):
  """The figures of a model.

  Attributes:
    num_images: How many images there were.
    num_captions: How many captions.
    ranks: By direction and score, the figures.
  """

  num_images: int
  num_captions: int
  ranks: dict[str, Ranks]

  def rows(self) -> list[dict[str, str]]:
    """A table's cells, by their headings, in a row a direction and score."""
    return [
        {
            "ranking": name,
            **{f"R@{k}": f"{r:.1%}" for k, r in found.recalls.items()},
            "median rank": f"{found.median:g}",
        }
        for name, found in self.ranks.items()
    ]

  def scalars(self) -> dict[str, float]:
    """All figures by tags for TensorBoard."""
    scalars: dict[str, float] = {}
    for name, found in self.ranks.items():
      group = f"ranking/{name.replace(', ', '/').replace(' ', '_')}"
      scalars |= {f"{group}/recall_at_{k}": r for k, r in found.recalls.items()}
      scalars[f"{group}/median_rank"] = found.median
    return scalars


class Ranker:
  """Ranks a split's images and captions as the model's variables change."""

  def __init__(
      self,
      model: show_and_tell_model.ShowAndTellModel,
      data: caption_data.CaptionData,
      *,
      max_images: int,
  ):
    """Reads the captions.

    Args:
      model: The model, in mode "eval".
      data: The records.
      max_images: The first so many images are taken, with all their captions.

    Raises:
      ValueError: If a record can't be used, or holds a word that the model
        doesn't know.
    """
    self._model = model
    self._data = data
    self._split = distinct_images.scan(data, None)
    image_ids = self._split.image_ids[:max_images]
    said = [self._split.word_ids[image_id] for image_id in image_ids]
    self._images = np.repeat(np.arange(len(said)), list(map(len, said)))
    self._captions = [caption for captions in said for caption in captions]
    if error := data.unknown_word(max(map(max, self._captions))):
      raise error
    self._states = tf.function(model.batch_states, autograph=False)
    self._likelihood = caption_likelihood.CaptionLikelihood(
        model.decoder, self._captions
    )

  def rank(self) -> Ranking:
    """Ranks by the model as it is.

    Returns:
      The figures.

    Raises:
      ValueError: If an image can't be decoded; the message says which.
    """
    scores = self.scores()
    lengths = np.array([len(caption) - 1 for caption in self._captions])
    is_right = self._images == np.arange(len(scores))[:, np.newaxis]
    ranks = {
        "image to caption, log-likelihood": (scores, is_right),
        "image to caption, mean of a word": (scores / lengths, is_right),
        "caption to image, log-likelihood": (scores.T, is_right.T),
    }
    return Ranking(
        num_images=scores.shape[0],
        num_captions=scores.shape[1],
        ranks={name: summarize(best_ranks(*r)) for name, r in ranks.items()},
    )

  def scores(self) -> np.ndarray:
    """The log-likelihoods, a float64 array [num_images, num_captions]."""
    num_images = self._images[-1] + 1
    rows: list[np.ndarray] = []
    next_log = time.monotonic()
    for state in self._image_states(num_images):
      rows.append(self._likelihood.of_image(state))
      if time.monotonic() >= next_log:
        logging.info("Ranked by %d of %d images.", len(rows), num_images)
        next_log = time.monotonic() + _LOG_SECS
    return np.array(rows)

  def _image_states(self, num_images: int) -> list[tf.Tensor]:
    batches = distinct_images.image_batches(
        self._data,
        self._split,
        feature_size=self._model.encoder.feature_size,
    ).take(-(-num_images // self._data.config.batch_size))
    states = self._states.get_concrete_function(batches.element_spec)
    found = [
        state
        for batch in self._data.explained(batches)
        for state in states(batch)
    ]
    return found[:num_images]


def best_ranks(scores: np.ndarray, is_right: np.ndarray) -> np.ndarray:
  """The rank of each query's best right answer.

  Args:
    scores: A float array of shape [num_queries, num_answers]; higher is better.
    is_right: A bool array of that shape, with a right answer in each row. Wrong
      answers with the same score as the best right one come before it, so that
      a model that tells nothing apart gains nothing.

  Returns:
    An int array of shape [num_queries], from 1.
  """
  best = np.where(is_right, scores, -np.inf).max(axis=1, keepdims=True)
  return 1 + np.sum((scores >= best) & ~is_right, axis=1)


def summarize(ranks: np.ndarray, recall_at: Sequence[int] = RECALL_AT) -> Ranks:
  """The figures of ranks, an int array of shape [num_queries]."""
  return Ranks(
      recalls={k: float(np.mean(ranks <= k)) for k in recall_at},
      median=float(np.median(ranks)),
  )
