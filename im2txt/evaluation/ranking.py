"""Ranks captions for images, and images for captions, by likelihood.

This measures how well a model can match captions and images. Vinyals et al.
(arXiv 1411.4555, section 4.3.5) rank by the likelihood of a caption given an
image and report, for each direction,

    recall at k   fraction of queries with a right answer among the first k
    median rank   median over queries of the rank of the first right answer

The score is log p(caption | image), including the end word. It is higher for
shorter captions, so captions are also ranked by its mean per word. The ranking
of images for one caption is the same for both.
"""

from collections.abc import Sequence
import itertools
import time
from typing import NamedTuple

from absl import logging
import numpy as np
import tensorflow as tf

from im2txt import show_and_tell_model
from im2txt.data import caption_data
from im2txt.data import distinct_images
from im2txt.ops import sampling

RECALL_AT = (1, 5, 10)

_LOG_SECS = 30.0


class Ranks(NamedTuple):
  """Recall and median rank of one direction.

  Attributes:
    recalls: The fraction of queries with a right answer among the first k, in
      [0, 1], by k.
    median: The median rank of the first right answer, 1-based.
  """

  recalls: dict[int, float]
  median: float


class Ranking(NamedTuple):
  """Ranking of images and captions by a model.

  Attributes:
    num_images: The number of images.
    num_captions: The number of captions.
    ranks: Recall and median rank, by direction and score.
  """

  num_images: int
  num_captions: int
  ranks: dict[str, Ranks]

  def rows(self) -> list[dict[str, str]]:
    """Returns table rows, one per direction and score, of cells by heading."""
    return [
        {
            "ranking": name,
            **{f"R@{k}": f"{r:.1%}" for k, r in ranks.recalls.items()},
            "median rank": f"{ranks.median:g}",
        }
        for name, ranks in self.ranks.items()
    ]

  def scalars(self) -> dict[str, float]:
    """Returns all values by TensorBoard tag."""
    scalars: dict[str, float] = {}
    for name, ranks in self.ranks.items():
      group = f"ranking/{name.replace(', ', '/').replace(' ', '_')}"
      scalars |= {f"{group}/recall_at_{k}": r for k, r in ranks.recalls.items()}
      scalars[f"{group}/median_rank"] = ranks.median
    return scalars


class Ranker:
  """Ranker of images and captions of a split, by a model's current weights."""

  def __init__(
      self,
      model: show_and_tell_model.ShowAndTellModel,
      data: caption_data.CaptionData,
      *,
      max_images: int,
  ):
    """Reads the captions of the split.

    Args:
      model: The model, in mode "eval".
      data: The records.
      max_images: The maximal number of images; the first ones are used, with
        all their captions.

    Raises:
      ValueError: If a record is invalid, or has a word id outside of the
        model's vocabulary.
    """
    self._model = model
    self._data = data
    self._split = distinct_images.scan(data, None)
    image_ids = self._split.image_ids[:max_images]
    captions = [self._split.word_ids[image_id] for image_id in image_ids]
    # The index of the image of each caption.
    self._images = np.repeat(np.arange(len(captions)), list(map(len, captions)))
    self._captions = list(itertools.chain.from_iterable(captions))
    if error := data.unknown_word(max(map(max, self._captions))):
      raise error
    self._states = tf.function(model.initial_states, autograph=False)
    self._likelihood = sampling.CaptionLikelihood(model.decoder, self._captions)

  def rank(self) -> Ranking:
    """Ranks with the current weights of the model.

    Returns:
      The ranking.

    Raises:
      ValueError: If an image can't be decoded; the message names its file.
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
    """Returns log-likelihoods, a float64 array [num_images, num_captions]."""
    num_images = self._images[-1] + 1
    rows: list[np.ndarray] = []
    next_log = time.monotonic()
    for state in self._initial_states(num_images):
      rows.append(self._likelihood.of_image(state))
      if time.monotonic() >= next_log:
        logging.info("Ranked by %d of %d images.", len(rows), num_images)
        next_log = time.monotonic() + _LOG_SECS
    return np.array(rows)

  def _initial_states(self, num_images: int) -> list[tf.Tensor]:
    """Returns the decoder's initial state of each image."""
    batches = distinct_images.image_batches(
        self._data,
        self._split,
        feature_size=self._model.encoder.feature_size,
    ).take(-(-num_images // self._data.config.batch_size))
    initial_states = self._states.get_concrete_function(batches.element_spec)
    states = [
        state
        for batch in self._data.explained(batches)
        for state in initial_states(batch)
    ]
    return states[:num_images]


def best_ranks(scores: np.ndarray, is_right: np.ndarray) -> np.ndarray:
  """Computes the rank of the best right answer of each query.

  Args:
    scores: A float array of shape [num_queries, num_answers]; higher is better.
    is_right: A bool array of shape [num_queries, num_answers], with a right
      answer in each row. Wrong answers with the same score as the best right
      answer are ranked before it, so a constant score gains nothing.

  Returns:
    An int array of shape [num_queries] of 1-based ranks.
  """
  best = np.where(is_right, scores, -np.inf).max(axis=1, keepdims=True)
  return 1 + np.sum((scores >= best) & ~is_right, axis=1)


def summarize(ranks: np.ndarray, recall_at: Sequence[int] = RECALL_AT) -> Ranks:
  """Computes recall and median rank.

  Args:
    ranks: An int array of shape [num_queries] of 1-based ranks.
    recall_at: The values of k for recall at k.

  Returns:
    The recall by k, and the median.
  """
  return Ranks(
      recalls={k: float(np.mean(ranks <= k)) for k in recall_at},
      median=float(np.median(ranks)),
  )
