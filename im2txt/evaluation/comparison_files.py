"""Writes what `comparison` finds: a table, JSON, JSON lines."""

from collections.abc import Mapping
from collections.abc import Sequence
import json
from typing import Any

from im2txt.evaluation import caption_statistics
from im2txt.evaluation import comparison
from im2txt.runtime import whole_file

# Headings of the statistics in the table and how they are written.
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


def table(found: comparison.Comparison) -> str:
  """A table in Markdown, a row for each system; what none has is left out."""
  return align(rows(found))


def rows(found: comparison.Comparison) -> list[dict[str, str]]:
  """The table's cells by their headings, a dict of all of them a system."""
  corpora = [scores.corpus for scores in found.systems.values()]
  # Java may have failed at a metric for some systems only.
  corpora.sort(key=len, reverse=True)
  metrics = list(dict.fromkeys(metric for c in corpora for metric in c))
  return [
      {"results": name, **_cells(scores, metrics)}
      for name, scores in found.systems.items()
  ]


def align(table_rows: Sequence[Mapping[str, str]]) -> str:
  """Makes a table in Markdown.

  Args:
    table_rows: At least one; each row's cells by their headings. The first
      column is aligned to the left, all others to the right.

  Returns:
    The table, without the columns in which all cells are empty.
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


def figures(scores: comparison.SystemScores) -> dict[str, str]:
  """A system's cells of the table by their headings."""
  cells = _cells(scores, list(scores.corpus))
  return {heading: cell for heading, cell in cells.items() if cell}


def write_json(
    path: str, found: comparison.Comparison, settings: Mapping[str, Any]
) -> None:
  """Writes all figures of all captions together, whole or not at all.

  Args:
    path: The file to write.
    found: The scores.
    settings: What they were computed from, to be written along.
  """
  content = {
      "settings": dict(settings),
      "tokenizer": found.tokenizer,
      "notes": found.notes,
      "results": {
          name: {
              "corpus": scores.corpus,
              "statistics": _statistics(scores.statistics),
              "n_best": scores.n_best and _statistics(scores.n_best),
              "oracle_cider": scores.oracle_cider,
          }
          for name, scores in found.systems.items()
      },
  }
  with whole_file.create(path) as file:
    file.write(json.dumps(content, indent=2).encode() + b"\n")


def write_per_image(
    path: str,
    found: comparison.Comparison,
    systems: Mapping[str, comparison.Captions],
) -> None:
  """Writes a line of JSON for each image of each system, whole or not at all.

  Args:
    path: The file to write.
    found: The scores.
    systems: The captions, as `comparison.compare` took them.
  """
  with whole_file.create(path) as file:
    for name, scores in found.systems.items():
      for image_id, metrics in scores.per_image.items():
        line = {
            "results": name,
            "image_id": image_id,
            "captions": list(systems[name][image_id]),
            "scores": metrics,
        }
        file.write(json.dumps(line).encode() + b"\n")


def _cells(
    scores: comparison.SystemScores, metrics: Sequence[str]
) -> dict[str, str]:
  """The cells of a system by their headings, the same ones for all systems."""
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


def _statistics(statistics: caption_statistics.Statistics) -> dict[str, Any]:
  return {**statistics._asdict(), "novelty": statistics.novelty}
