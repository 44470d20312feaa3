"""CIDEr of many captions at once, as a reward for training.

The metric is that of the COCO tools (`pycocoevalcap`, whose CIDEr is the
CIDEr-D of arXiv 1411.5726, section 5): n-grams of one to four words, weighted
by inverse document frequency, clipped, with a penalty for the difference in
length. Document frequencies are computed once, from the training captions.
Words are ids, and everything is an array, since each step scores hundreds of
captions:

    code of an n-gram   its words as the digits of one int64
    grams               the distinct codes of all references, sorted
    entries             the grams of each reference, with their counts
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_MAX_ORDER = 4
_SIGMA = 6.0  # Standard deviation of the length penalty, in words.
_SCALE = 10.0

# Special digits of a code. The others are word ids plus _FIRST_WORD.
_PADDING = 0
_UNKNOWN_WORD = 1
_FIRST_WORD = 2


class _Counts(NamedTuple):
  """Counts of n-grams in captions, as arrays of equal length.

  Attributes:
    rows: Number of the caption, ascending.
    codes: Code of the n-gram, ascending within a caption.
    counts: Count of the n-gram in the caption.
  """

  rows: np.ndarray
  codes: np.ndarray
  counts: np.ndarray


class CiderReward:
  """A function that scores captions against the references of their images."""

  def __init__(
      self,
      references: Mapping[int, Sequence[Sequence[int]]],
      *,
      vocab_size: int,
      unknown_id: int | None = None,
  ):
    """Counts the n-grams of all references.

    Args:
      references: Word ids of one or more captions, by image id. If they end
        with the end word, candidates must too.
      vocab_size: Upper bound of word ids, exclusive.
      unknown_id: Id of the unknown word, which matches no word of a reference.

    Raises:
      ValueError: If the vocabulary is so large that codes exceed 64 bits.
    """
    self._base = vocab_size + _FIRST_WORD
    if self._base**_MAX_ORDER >= 2**63:
      raise ValueError(
          f"CIDEr as a reward takes a vocab_size of less than"
          f" {int(2 ** (63 / _MAX_ORDER)) - _FIRST_WORD}. Got: {vocab_size}."
      )
    self._unknown_id = unknown_id
    ids = np.fromiter(references, np.int64, len(references))
    self._image_order = np.argsort(ids)
    self._image_ids = ids[self._image_order]
    captions = [c for of_image in references.values() for c in of_image]
    self._num_captions = np.array([len(c) for c in references.values()])
    self._first_caption = np.cumsum(self._num_captions) - self._num_captions
    self._lengths = np.array([len(caption) for caption in captions])
    counts = self._count(
        np.concatenate([[*caption, -_FIRST_WORD] for caption in captions]),
        np.repeat(np.arange(len(captions)), self._lengths + 1),
    )
    self._grams, grams = np.unique(counts.codes, return_inverse=True)
    self._entry_grams = grams.astype(np.int32)
    self._entry_counts = counts.counts.astype(np.int32)
    self._num_entries = np.bincount(counts.rows, minlength=len(captions))
    self._first_entry = np.cumsum(self._num_entries) - self._num_entries
    images = np.repeat(np.arange(len(ids)), self._num_captions)[counts.rows]
    of_images = np.unique(images * len(self._grams) + grams) % len(self._grams)
    self._idf = np.log(len(ids)) - np.log(np.bincount(of_images))
    self._unseen_idf = np.log(len(ids))
    self._norms = self._norms_of(
        counts, self._entry_counts * self._idf[grams], len(captions)
    )

  def __call__(
      self, image_ids: np.ndarray, captions: np.ndarray, lengths: np.ndarray
  ) -> np.ndarray:
    """Returns the CIDEr of each caption.

    Args:
      image_ids: An integer array of shape [num_captions].
      captions: An integer array of shape [num_captions, width] of word ids.
      lengths: Number of words of each caption; an integer array of shape
        [num_captions].

    Returns:
      A float64 array of shape [num_captions].
    """
    num_captions, width = captions.shape
    # One more column, so that no n-gram continues in the next row.
    words = np.full([num_captions, width + 1], -_FIRST_WORD, np.int64)
    words[:, :width] = captions
    words[words == self._unknown_id] = _UNKNOWN_WORD - _FIRST_WORD
    words[np.arange(width + 1) >= lengths[:, np.newaxis]] = -_FIRST_WORD
    counts = self._count(
        words.ravel(), np.repeat(np.arange(num_captions), width + 1)
    )
    grams = np.searchsorted(self._grams, counts.codes)
    grams[grams == len(self._grams)] = 0
    is_seen = self._grams[grams] == counts.codes
    idf = np.where(is_seen, self._idf[grams], self._unseen_idf)
    weights = counts.counts * idf
    norms = self._norms_of(counts, weights, num_captions)

    # Each caption with each reference of its image.
    images = self._image_order[np.searchsorted(self._image_ids, image_ids)]
    num_references = self._num_captions[images]
    rows = np.repeat(np.arange(num_captions), num_references)
    references = _ranges(self._first_caption[images], num_references)
    products = self._products(
        rows,
        references,
        keys=(counts.rows * len(self._grams) + grams)[is_seen],
        weights=weights[is_seen],
    )
    both_norms = norms[rows] * self._norms[references]
    cosines = products / np.where(both_norms, both_norms, 1.0)
    # The COCO tools' lengths are numbers of bigrams.
    deltas = np.maximum(lengths[rows] - 1, 0) - np.maximum(
        self._lengths[references] - 1, 0
    )
    penalties = np.exp(-(deltas**2) / (2 * _SIGMA**2))
    scores = np.bincount(
        rows, penalties * cosines.mean(axis=1), minlength=num_captions
    )
    return _SCALE * scores / num_references

  def _products(
      self,
      rows: np.ndarray,
      references: np.ndarray,
      *,
      keys: np.ndarray,
      weights: np.ndarray,
  ) -> np.ndarray:
    """Returns the clipped dot products of candidates with references.

    Args:
      rows: Number of the candidate of each pair.
      references: Number of the reference of each pair.
      keys: Grams of the candidates, each as row * number of grams + gram;
        ascending.
      weights: Weight of each key.

    Returns:
      A float64 array of shape [num_pairs, 4], one product per order.
    """
    num_entries = self._num_entries[references]
    pairs = np.repeat(np.arange(len(references)), num_entries)
    entries = _ranges(self._first_entry[references], num_entries)
    grams = self._entry_grams[entries]
    wanted = rows[pairs] * len(self._grams) + grams
    places = np.searchsorted(keys, wanted)
    is_match = np.append(keys, -1)[places] == wanted
    grams = grams[is_match]
    theirs = self._entry_counts[entries[is_match]] * self._idf[grams]
    ours = weights[places[is_match]]
    return self._sum_by_order(
        pairs[is_match],
        self._grams[grams],
        np.minimum(ours, theirs) * theirs,
        len(references),
    )

  def _norms_of(
      self, counts: _Counts, weights: np.ndarray, num_rows: int
  ) -> np.ndarray:
    """Returns norms by caption and order; a float64 array [num_rows, 4]."""
    return np.sqrt(
        self._sum_by_order(counts.rows, counts.codes, weights**2, num_rows)
    )

  def _sum_by_order(
      self,
      rows: np.ndarray,
      codes: np.ndarray,
      values: np.ndarray,
      num_rows: int,
  ) -> np.ndarray:
    """Returns sums of values by row and order; an array [num_rows, 4]."""
    powers = self._base ** np.arange(1, _MAX_ORDER)
    orders = np.searchsorted(powers, codes, side="right")
    sums = np.bincount(
        rows * _MAX_ORDER + orders, values, minlength=num_rows * _MAX_ORDER
    )
    return sums.reshape([num_rows, _MAX_ORDER])

  def _count(self, word_ids: np.ndarray, rows: np.ndarray) -> _Counts:
    """Counts the n-grams of concatenated captions.

    Args:
      word_ids: An int64 array of shape [num_words]; -2 after each caption.
      rows: Number of the caption of each word; an int64 array of shape
        [num_words].

    Returns:
      The counts.
    """
    digits = word_ids + _FIRST_WORD
    code = np.zeros_like(digits)
    is_whole = np.ones(len(digits), bool)
    codes, rows_of_codes = [], []
    for order in range(_MAX_ORDER):
      last = np.pad(digits[order:], [0, min(order, len(digits))])
      is_whole &= last != _PADDING
      code = code + last * self._base**order
      codes.append(code[is_whole])
      rows_of_codes.append(rows[is_whole])
    grams, numbers = np.unique(np.concatenate(codes), return_inverse=True)
    pairs, counts = np.unique(
        np.concatenate(rows_of_codes) * len(grams) + numbers,
        return_counts=True,
    )
    # If all captions are empty, there are no grams.
    found_rows, numbers = np.divmod(pairs, max(1, len(grams)))
    return _Counts(found_rows, grams[numbers], counts)


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
  """Returns the concatenated ranges of the given starts and sizes."""
  ends = np.cumsum(lengths)
  return np.arange(lengths.sum()) + np.repeat(starts - ends + lengths, lengths)
