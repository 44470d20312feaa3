"""What is found of checkpoints, one or several in a table."""

from collections.abc import Sequence
from typing import NamedTuple

from im2txt.evaluation import comparison
from im2txt.evaluation import ranking


class Evaluation(NamedTuple):
  """What is found of a checkpoint.

  Attributes:
    name: What the checkpoint is called.
    step: Its global step.
    perplexity: Of the captions of the split.
    captions: The scores of its own captions, of one system by that name; None
      if it made none.
    ranks: Of images and captions; None if nothing was ranked.
  """

  name: str
  step: int
  perplexity: float
  captions: comparison.Comparison | None = None
  ranks: ranking.Ranking | None = None

  def metrics(self) -> dict[str, float]:
    """All figures that are printed, by name."""
    metrics = {"Perplexity": self.perplexity}
    if self.captions:
      metrics |= self.captions.systems[self.name].corpus
    return metrics


def table(evaluations: Sequence[Evaluation]) -> str:
  """A table in Markdown, a row for each checkpoint, and notes below it.

  Args:
    evaluations: At least one; all with captions, or none.

  Returns:
    The text.
  """
  rows = {
      e.name: {
          "checkpoint": e.name,
          "step": str(e.step),
          "perplexity": f"{e.perplexity:.3f}",
      }
      for e in evaluations
  }
  notes: dict[str, None] = {}
  for scores in filter(None, (e.captions for e in evaluations)):
    for row in comparison.rows(scores):
      rows[row.pop("results")] |= row
    notes[f"Tokenizer: {scores.tokenizer}."] = None
    notes |= dict.fromkeys(scores.notes)
  text = comparison.align(list(rows.values()))
  return "\n".join([text, *([""] if notes else []), *notes])


def ranking_table(evaluations: Sequence[Evaluation]) -> str:
  """A table in Markdown, after an empty line; "" if nothing was ranked."""
  ranked = [(e.name, e.ranks) for e in evaluations if e.ranks]
  rows = [
      {"checkpoint": name, **row}
      for name, found in ranked
      for row in found.rows()
  ]
  if not rows:
    return ""
  found = ranked[0][1]
  return (
      f"\n{comparison.align(rows)}\n\n"
      f"Of {found.num_images} images and {found.num_captions} captions.\n"
  )
