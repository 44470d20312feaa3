"""Scores of captions against references, by the COCO caption evaluation code.

The corpus and per-image figures are those of the COCO tools (`pycocoevalcap`)
for captions that are split into words already; this module checks what it is
given and keeps the scorers quiet. METEOR and SPICE, which need Java, are not
among them.
"""

from collections.abc import Hashable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from pycocoevalcap.bleu import bleu
from pycocoevalcap.cider import cider
from pycocoevalcap.rouge import rouge
from pycocoevalcap.tokenizer import ptbtokenizer

METRICS = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr")

_PUNCTUATION = frozenset(ptbtokenizer.PUNCTUATIONS)


class Scores(NamedTuple):
  """The scores of a set of captions.

  Attributes:
    corpus: The score of all captions together, by the names in `METRICS`.
    per_image: By image id, the scores of each caption alone. CIDEr's corpus
      score is their mean; BLEU's is not.
  """

  corpus: dict[str, float]
  per_image: dict[Hashable, dict[str, float]]


def normalize(caption: str) -> str:
  """A tokenised caption as the metrics take it.

  Args:
    caption: Words and punctuation marks separated by spaces.

  Returns:
    The words in lower case, separated by one space, without the punctuation
    that the COCO tools leave out.
  """
  words = caption.lower().split()
  return " ".join(word for word in words if word not in _PUNCTUATION)


def score(
    references: Mapping[Hashable, Sequence[str]],
    candidates: Mapping[Hashable, str],
) -> Scores:
  """Scores one caption of each image against its references.

  Args:
    references: By image id, one or more normalised captions.
    candidates: By the same image ids, one normalised caption; it may be empty.

  Returns:
    BLEU-1 to BLEU-4, ROUGE-L and CIDEr, of the corpus and of each image.

  Raises:
    ValueError: If there are no images, the ids of the two differ, or an image
      has no references.
  """
  _check(references, candidates)
  image_ids = list(references)
  expected = {i: list(references[i]) for i in image_ids}
  found = {i: [candidates[i]] for i in image_ids}
  totals: list[float] = []
  columns: list[Sequence[float]] = []
  bleu_totals, bleu_columns = bleu.Bleu(4).compute_score(
      expected, found, verbose=0
  )
  totals.extend(bleu_totals)
  columns.extend(bleu_columns)
  for scorer in (rouge.Rouge(), cider.Cider()):
    total, column = scorer.compute_score(expected, found)
    totals.append(total)
    columns.append(column)
  rows = zip(image_ids, zip(*columns, strict=True), strict=True)
  return Scores(
      corpus=_by_metric(totals),
      per_image={image_id: _by_metric(row) for image_id, row in rows},
  )


def _by_metric(values: Sequence[float]) -> dict[str, float]:
  return {
      metric: float(value)
      for metric, value in zip(METRICS, values, strict=True)
  }


def _check(
    references: Mapping[Hashable, Sequence[str]],
    candidates: Mapping[Hashable, str],
) -> None:
  if not references:
    raise ValueError("There are no captions to score.")
  unmatched = references.keys() ^ candidates.keys()
  if unmatched:
    example = min(unmatched, key=str)
    lacks = "reference" if example in candidates else "caption to score"
    raise ValueError(
        f"{len(unmatched)} images do not match; image {example!r} has no"
        f" {lacks}."
    )
  for image_id, captions in references.items():
    if not captions:
      raise ValueError(f"Image {image_id!r} has no references.")
