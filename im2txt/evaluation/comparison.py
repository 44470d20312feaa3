"""Scores the captions of one or more systems and writes tables of the scores.

All captions are tokenized by the same tokenizer. Each system then gets scores
and statistics, and notes tell what could not be computed. The results can be
written as a Markdown table, as JSON and as JSON lines.
"""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import json
from typing import Any
from typing import NamedTuple

from im2txt.evaluation import caption_statistics
from im2txt.evaluation import caption_tokenizer
from im2txt.evaluation import coco_metrics
from im2txt.runtime import atomic_files

# All scorers that download nothing.
SCORERS = ("Bleu", "METEOR", "ROUGE_L", "CIDEr")

# The number of images from which CIDEr needs no note.
_ENOUGH_FOR_CIDER = 10

# Column headings and formats of the statistics in the table.
_STATISTICS = {
    "num_captions": ("images", "d"),
    "num_empty": ("empty", "d"),
    "num_distinct": ("distinct", "d"),
    "num_words": ("words", "d"),
    "distinct_1": ("distinct-1", ".3f"),
    "distinct_2": ("distinct-2", ".3f"),
    "mean_length": ("length", ".2f"),
    "in_training": ("in training", ".1%"),
}

# Captions by image id.
Captions = Mapping[int, Sequence[str]]


class SystemScores(NamedTuple):
  """Scores and statistics of the captions of one system.

  Attributes:
    corpus: Corpus scores of the first captions of all images, by metric.
    per_image: Scores of the first caption, by image id and metric.
    statistics: Statistics of the first captions.
    n_best: Statistics of all captions; None if each image has only one.
    oracle_cider: The mean over images of the highest CIDEr; None if CIDEr is
      not computed or each image has only one caption.
  """

  corpus: dict[str, float]
  per_image: dict[int, dict[str, float]]
  statistics: caption_statistics.Statistics
  n_best: caption_statistics.Statistics | None
  oracle_cider: float | None


class Comparison(NamedTuple):
  """Scores of one or more systems.

  Attributes:
    systems: The scores by the name of the system.
    tokenizer: "ptb" or "python", the tokenizer of all captions.
    notes: Sentences for the reader: which metrics were left out and why, and
      which scores mean little.
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
    references: One or more reference captions by image id.
    systems: The captions of each system by its name: one or more captions by
      image id, best first. Only the references of a system's own images are
      used for its scores.
    training_captions: The captions the systems were trained on, if known.
    scorers: A subset of `coco_metrics.SCORERS`.
    tokenizer: One of `caption_tokenizer.TOKENIZERS`.

  Returns:
    The scores of each system.

  Raises:
    coco_metrics.JavaError: If the tokenizer is "ptb" and Java cannot run it.
    ValueError: If a system has no captions, an image has no references, or a
      scorer or the tokenizer is unknown.
  """
  coco_metrics.check_scorers(scorers)
  texts = list(dict.fromkeys(training_captions or ()))
  for captions in (references, *systems.values()):
    texts.extend(text for sentences in captions.values() for text in sentences)
  result = caption_tokenizer.tokenize(texts, tokenizer)
  words = dict(zip(texts, result.captions, strict=True))

  def tokenized(captions: Captions) -> dict[int, list[str]]:
    return {
        image_id: [words[text] for text in sentences]
        for image_id, sentences in captions.items()
    }

  known = None
  if training_captions is not None:
    known = {words[text] for text in training_captions}
  tokenized_references = tokenized(references)
  notes = dict.fromkeys([result.note] if result.note else [])
  scores = {}
  for name, captions in systems.items():
    scores[name], system_notes = _score(
        {i: tokenized_references.get(i, []) for i in captions},
        tokenized(captions),
        known=known,
        scorers=scorers,
    )
    notes.update(dict.fromkeys(system_notes))
  return Comparison(scores, result.tokenizer, list(notes))


def table(comparison: Comparison) -> str:
  """Returns a Markdown table with one row per system, without empty columns."""
  return align(rows(comparison))


def rows(comparison: Comparison) -> list[dict[str, str]]:
  """Returns the table's rows, one dict per system of cells by heading."""
  corpora = [scores.corpus for scores in comparison.systems.values()]
  # Java may have failed for some of the systems only.
  corpora.sort(key=len, reverse=True)
  metrics = list(dict.fromkeys(metric for c in corpora for metric in c))
  return [
      {"results": name, **_cells(scores, metrics)}
      for name, scores in comparison.systems.items()
  ]


def align(table_rows: Sequence[Mapping[str, str]]) -> str:
  """Formats a Markdown table.

  Args:
    table_rows: The cells of each row by heading; at least one row. The first
      column is left-aligned, all others are right-aligned.

  Returns:
    The table, without columns that are empty in all rows.
  """
  headings = [
      heading
      for heading in dict.fromkeys(h for row in table_rows for h in row)
      if any(row.get(heading) for row in table_rows)
  ]
  cells = [headings, *([r.get(h, "") for h in headings] for r in table_rows)]
  widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
  rules = [
      "-" * width if i == 0 else "-" * (width - 1) + ":"
      for i, width in enumerate(widths)
  ]
  lines = []
  for row in (headings, rules, *cells[1:]):
    aligned = [
        text.ljust(width) if i == 0 else text.rjust(width)
        for i, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    lines.append(f"| {' | '.join(aligned)} |")
  return "\n".join(lines)


def figures(scores: SystemScores) -> dict[str, str]:
  """Returns the non-empty cells of one system's row by heading."""
  cells = _cells(scores, list(scores.corpus))
  return {heading: cell for heading, cell in cells.items() if cell}


def write_json(
    path: str, comparison: Comparison, settings: Mapping[str, Any]
) -> None:
  """Writes all corpus scores and statistics as JSON, atomically.

  Args:
    path: The file to write.
    comparison: The scores.
    settings: The settings that the scores depend on, for the file.
  """
  content = {
      "settings": dict(settings),
      "tokenizer": comparison.tokenizer,
      "notes": comparison.notes,
      "results": {
          name: {
              "corpus": scores.corpus,
              "statistics": _statistics_dict(scores.statistics),
              "n_best": scores.n_best and _statistics_dict(scores.n_best),
              "oracle_cider": scores.oracle_cider,
          }
          for name, scores in comparison.systems.items()
      },
  }
  with atomic_files.create(path) as file:
    file.write(json.dumps(content, indent=2).encode() + b"\n")


def write_per_image(
    path: str,
    comparison: Comparison,
    systems: Mapping[str, Captions],
) -> None:
  """Writes one JSON line per image and system, atomically.

  Args:
    path: The file to write.
    comparison: The scores.
    systems: The captions, as passed to `compare`.
  """
  with atomic_files.create(path) as file:
    for name, scores in comparison.systems.items():
      for image_id, metrics in scores.per_image.items():
        line = {
            "results": name,
            "image_id": image_id,
            "captions": list(systems[name][image_id]),
            "scores": metrics,
        }
        file.write(json.dumps(line).encode() + b"\n")


def _score(
    references: dict[int, list[str]],
    captions: dict[int, list[str]],
    *,
    known: Collection[str] | None,
    scorers: Collection[str],
) -> tuple[SystemScores, Collection[str]]:
  """Scores the tokenized captions of one system; returns notes as well."""
  first = {image_id: sentences[0] for image_id, sentences in captions.items()}
  result = coco_metrics.score(references, first, scorers=scorers)
  every = [text for sentences in captions.values() for text in sentences]
  has_several = len(every) > len(first)
  scores = SystemScores(
      corpus=result.corpus,
      per_image=result.per_image,
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
  notes = list(result.left_out.values())
  if "CIDEr" in result.corpus and len(references) < _ENOUGH_FOR_CIDER:
    notes.append(_cider_note(len(references)))
  return scores, notes


def _cider_note(num_images: int) -> str:
  """Returns a warning about the CIDEr of few images."""
  # For a single image, all document frequencies are 1, and their logarithm 0.
  if num_images == 1:
    return (
        "CIDEr is meaningless for one image: it weights words by how few of"
        " the images they occur in, so the score of any caption is 0."
    )
  return (
      f"CIDEr means little for {num_images} images: it weights words by how few"
      " of the images they occur in."
  )


def _cells(scores: SystemScores, metrics: Sequence[str]) -> dict[str, str]:
  """Returns a system's cells by heading; headings are equal for all systems."""
  counts = _counts(scores.statistics)
  n_best = _counts(scores.n_best) if scores.n_best else {}
  return {
      "images": counts.pop("images"),
      **{m: _format(scores.corpus.get(m), ".3f") for m in metrics},
      "oracle CIDEr": _format(scores.oracle_cider, ".3f"),
      **counts,
      "n best": n_best.get("images", ""),
      "n best in training": n_best.get("in training", ""),
  }


def _counts(statistics: caption_statistics.Statistics) -> dict[str, str]:
  return {
      heading: _format(getattr(statistics, field), form)
      for field, (heading, form) in _STATISTICS.items()
  }


def _format(value: float | None, form: str) -> str:
  return "" if value is None else format(value, form)


def _statistics_dict(
    statistics: caption_statistics.Statistics,
) -> dict[str, Any]:
  return {**statistics._asdict(), "novelty": statistics.novelty}
