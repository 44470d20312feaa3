"""Scores of captions against references, by the COCO caption evaluation code.

The corpus and per-image figures are those of the COCO tools (`pycocoevalcap`)
for captions that `caption_tokenizer` has split into words; this module checks
what it is given, keeps the scorers quiet and leaves out what Java fails at.
CIDEr weighs n-grams by the number of images whose references hold them, of the
references that are given; so a CIDEr of one image alone is 0.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import functools
import io
import subprocess
from typing import NamedTuple

import numpy as np
from pycocoevalcap.bleu import bleu
from pycocoevalcap.cider import cider
from pycocoevalcap.rouge import rouge
from pycocoevalcap.spice import spice

from im2txt.evaluation import java
from im2txt.evaluation import meteor

# What needs nothing but Python, by the COCO tools' names.
METRICS = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr")

_References = Sequence[list[str]]
# By metric, the score of all captions and that of each.
_Columns = dict[str, tuple[float, Iterable[float]]]


class Scores(NamedTuple):
  """The scores of a set of captions.

  Attributes:
    corpus: The score of all captions together, by metric. CIDEr, ROUGE-L and
      SPICE are the means of the images' scores; BLEU and METEOR are not.
    per_image: By image id, the scores of each caption alone.
    left_out: By scorer that Java failed at, a sentence that tells why.
  """

  corpus: dict[str, float]
  per_image: dict[int, dict[str, float]]
  left_out: dict[str, str]


def score(
    references: Mapping[int, Sequence[str]],
    candidates: Mapping[int, str],
    *,
    scorers: Collection[str] = ("Bleu", "ROUGE_L", "CIDEr"),
) -> Scores:
  """Scores one caption of each image against its references.

  Args:
    references: By image id, one or more captions, split into words.
    candidates: By the same image ids, one caption, split likewise; it may be
      empty.
    scorers: Some of `SCORERS`. "Bleu" gives BLEU-1 to BLEU-4; METEOR and SPICE
      need Java, and SPICE downloads some 400 MB when it is first used.

  Returns:
    The scores by metric, in the order of `SCORERS`.

  Raises:
    ValueError: If there are no images, the ids of the two differ, an image has
      no references, or there is no such scorer.
  """
  check_scorers(scorers)
  _check(references, candidates)
  expected = [list(captions) for captions in references.values()]
  found = [candidates[image_id] for image_id in references]
  corpus = {}
  per_image: dict[int, dict[str, float]] = {i: {} for i in references}
  left_out = {}
  for name, score_by in _SCORERS.items():
    if name not in scorers:
      continue
    try:
      columns = score_by(expected, found)
    except (OSError, subprocess.SubprocessError) as error:
      left_out[name] = f"{name} was left out. {error}"
      continue
    for metric, (total, column) in columns.items():
      corpus[metric] = float(total)
      for row, value in zip(per_image.values(), column, strict=True):
        row[metric] = float(value)
  return Scores(corpus, per_image, left_out)


def oracle_cider(
    references: Mapping[int, Sequence[str]],
    candidates: Mapping[int, Sequence[str]],
) -> float:
  """The mean of each image's best CIDEr among its captions.

  It tells what a perfect choice among the n best would reach.

  Args:
    references: By image id, one or more captions, split into words.
    candidates: By the same image ids, one or more captions, split likewise.

  Returns:
    The score, with the same document frequencies as CIDEr's.
  """
  longest = max(map(len, candidates.values()), default=0)
  ranks = [
      score(
          references,
          {i: captions[:rank][-1] for i, captions in candidates.items()},
          scorers=["CIDEr"],
      ).per_image
      for rank in range(1, longest + 1)
  ]
  return float(np.mean([max(r[i]["CIDEr"] for r in ranks) for i in references]))


def check_scorers(scorers: Collection[str]) -> None:
  """Raises a ValueError that names what is not in `SCORERS`."""
  unknown = set(scorers).difference(SCORERS)
  if unknown or not scorers:
    raise ValueError(
        f"Metrics are some of {', '.join(SCORERS)}. Got:"
        f" {', '.join(sorted(unknown)) or 'none'}."
    )


def _check(
    references: Mapping[int, Sequence[str]],
    candidates: Mapping[int, str],
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


def _bleu(references: _References, candidates: Sequence[str]) -> _Columns:
  totals, columns = bleu.Bleu(4).compute_score(
      *_by_index(references, candidates), verbose=0
  )
  pairs = zip(totals, columns, strict=True)
  return {f"Bleu_{n}": pair for n, pair in enumerate(pairs, start=1)}


def _meteor(references: _References, candidates: Sequence[str]) -> _Columns:
  return {"METEOR": meteor.score(references, candidates)}


def _by_coco_tools(
    make: Callable,
    metric: str,
    references: _References,
    candidates: Sequence[str],
) -> _Columns:
  return {metric: make().compute_score(*_by_index(references, candidates))}


def _spice(references: _References, candidates: Sequence[str]) -> _Columns:
  java.executable()  # Before what it would run is downloaded.
  with contextlib.redirect_stdout(io.StringIO()):
    total, parts = spice.Spice().compute_score(
        *_by_index(references, candidates)
    )
  return {"SPICE": (total, [part["All"]["f"] for part in parts])}


def _by_index(
    references: _References, candidates: Sequence[str]
) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
  # SPICE takes no other keys, and answers in their order.
  return dict(enumerate(references)), {
      i: [caption] for i, caption in enumerate(candidates)
  }


_SCORERS: Mapping[str, Callable[[_References, Sequence[str]], _Columns]] = {
    "Bleu": _bleu,
    "METEOR": _meteor,
    "ROUGE_L": functools.partial(_by_coco_tools, rouge.Rouge, "ROUGE_L"),
    "CIDEr": functools.partial(_by_coco_tools, cider.Cider, "CIDEr"),
    "SPICE": _spice,
}
SCORERS = tuple(_SCORERS)
