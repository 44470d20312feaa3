"""Scores captions as they were said, of one or several systems, side by side.

This is what programs call: it splits all captions into words by the same
tokenizer, scores each system's, counts their words, and tells what could not
be done.
"""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from im2txt.evaluation import caption_statistics
from im2txt.evaluation import caption_tokenizer
from im2txt.evaluation import coco_metrics

# All that downloads nothing.
SCORERS = ("Bleu", "METEOR", "ROUGE_L", "CIDEr")

# From so many images on, CIDEr has a note no more.
_ENOUGH_FOR_CIDER = 10

# By image id, captions.
Captions = Mapping[int, Sequence[str]]


class SystemScores(NamedTuple):
  """What is found of the captions of one system.

  Attributes:
    corpus: By metric, the score of the first captions of all images.
    per_image: By image id and metric, the score of the first caption.
    statistics: Of the first captions.
    n_best: Of all captions, if an image has several; else None.
    oracle_cider: The mean of each image's best CIDEr, if that is a scorer and
      an image has several captions; else None.
  """

  corpus: dict[str, float]
  per_image: dict[int, dict[str, float]]
  statistics: caption_statistics.Statistics
  n_best: caption_statistics.Statistics | None
  oracle_cider: float | None


class Comparison(NamedTuple):
  """Several systems' scores.

  Attributes:
    systems: By the system's name.
    tokenizer: "ptb" or "python", which split all captions into words.
    notes: Sentences for the reader: what was left out, and why; and what the
      scores are worth, where that is little.
  """

  systems: dict[str, SystemScores]
  tokenizer: str
  notes: list[str]


def compare(
    references: Captions,
    systems: Mapping[str, Captions],
    *,
    training_captions: Collection[str] | None = None,
    scorers: Collection[str] = SCORERS,
    tokenizer: str = "auto",
) -> Comparison:
  """Scores captions against references.

  Args:
    references: By image id, one or more captions by people.
    systems: By a name, the captions of a system: by image id, one or more,
      best first. Of references, those of its images count, as if there were no
      others.
    training_captions: The captions that the systems learned from, if known.
    scorers: Some of `coco_metrics.SCORERS`.
    tokenizer: One of `caption_tokenizer.TOKENIZERS`.

  Returns:
    The scores of each system.

  Raises:
    coco_metrics.JavaError: If the tokenizer is "ptb" and Java cannot run it.
    ValueError: If a system has no captions, an image has no references, or
      there is no such scorer or tokenizer.
  """
  coco_metrics.check_scorers(scorers)
  texts = list(dict.fromkeys(training_captions or ()))
  for captions in (references, *systems.values()):
    texts.extend(text for said in captions.values() for text in said)
  tokenized = caption_tokenizer.tokenize(texts, tokenizer)
  words = dict(zip(texts, tokenized.captions, strict=True))

  def split(captions: Captions) -> dict[int, list[str]]:
    return {i: [words[text] for text in said] for i, said in captions.items()}

  known = None
  if training_captions is not None:
    known = {words[text] for text in training_captions}
  expected = split(references)
  notes = dict.fromkeys([tokenized.note] if tokenized.note else [])
  scores = {}
  for name, captions in systems.items():
    scores[name], left_out = _score(
        {i: expected.get(i, []) for i in captions},
        split(captions),
        known=known,
        scorers=scorers,
    )
    notes.update(dict.fromkeys(left_out))
  return Comparison(scores, tokenized.tokenizer, list(notes))


def _score(
    references: dict[int, list[str]],
    captions: dict[int, list[str]],
    *,
    known: Collection[str] | None,
    scorers: Collection[str],
) -> tuple[SystemScores, Collection[str]]:
  first = {image_id: said[0] for image_id, said in captions.items()}
  found = coco_metrics.score(references, first, scorers=scorers)
  every = [caption for said in captions.values() for caption in said]
  has_several = len(every) > len(first)
  scores = SystemScores(
      corpus=found.corpus,
      per_image=found.per_image,
      statistics=caption_statistics.compute(list(first.values()), known),
      n_best=(
          caption_statistics.compute(every, known) if has_several else None
      ),
      oracle_cider=(
          coco_metrics.oracle_cider(references, captions)
          if has_several and "CIDEr" in scorers
          else None
      ),
  )
  notes = list(found.left_out.values())
  if "CIDEr" in found.corpus and len(references) < _ENOUGH_FOR_CIDER:
    notes.append(_cider_note(len(references)))
  return scores, notes


def _cider_note(num_images: int) -> str:
  """A sentence on what CIDEr of a few images is worth."""
  # Of a single image, all document frequencies are 1, and their logarithm 0.
  if num_images == 1:
    return (
        "CIDEr means nothing for one image: it weighs words by how few of the"
        " images they occur in, so any caption gets 0."
    )
  return (
      f"CIDEr means little for {num_images} images: it weighs words by how few"
      " of the images they occur in."
  )
