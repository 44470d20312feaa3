"""The files of an evaluation of captions; each appears whole or not at all.

For a split "val" the folder of the evaluation gets

    captions_val_results.json   for the COCO server and tools
    captions_val_scores.jsonl   a line an image: its captions and scores
    captions_val_summary.json   all figures, and how they were made

and a report, if there is to be one, a folder of its own.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import os
import pathlib
import tempfile
from typing import Any

from absl import logging

from im2txt.data import captions_json
from im2txt.evaluation import coco_results
from im2txt.evaluation import comparison
from im2txt.evaluation import scores_report
from im2txt.evaluation import split_captioner
from im2txt.input_data import distinct_images
from im2txt.report import html_report
from im2txt.runtime import whole_file


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaptionOutputs:
  """Writes what an evaluation found.

  Attributes:
    folder: An existing folder for the files.
    split_name: In their names.
    settings: What the captions are made with, for the summary.
    report_dir: The folder of the report, or of reports by label; none is
      written if empty.
  """

  folder: str
  split_name: str
  settings: Mapping[str, Any]
  report_dir: str = ""

  def write(
      self,
      found: split_captioner.Found,
      scores: comparison.Comparison,
      captioner: split_captioner.SplitCaptioner,
      *,
      perplexity: float,
      label: str = "",
  ) -> None:
    """Writes all files, in place of those of an earlier checkpoint.

    Args:
      found: The captions.
      scores: Theirs, of one system only.
      captioner: What captioned, for the pictures and what people say of them.
      perplexity: The model's, on the same split.
      label: Comes after the split in the names, as the COCO server has it,
        where the files of several checkpoints are to stay.
    """
    (name,) = scores.systems
    best = {i: said[0].sentence if said else "" for i, said in found.items()}
    coco_results.write(self._path(label, "results.json"), best.items())
    sentences = {i: [c.sentence for c in said] for i, said in found.items()}
    comparison.write_per_image(
        self._path(label, "scores.jsonl"), scores, {name: sentences}
    )
    comparison.write_json(
        self._path(label, "summary.json"),
        scores,
        {**self.settings, "perplexity": perplexity},
    )
    if self.report_dir:
      report_dir = pathlib.Path(self.report_dir, label)
      self._write_report(report_dir, found, scores, captioner, perplexity)

  def _path(self, label: str, ending: str) -> str:
    parts = ["captions", self.split_name, *([label] if label else []), ending]
    return os.path.join(self.folder, "_".join(parts))

  def _write_report(
      self, report_dir, found, scores, captioner, perplexity: float
  ) -> None:
    ((name, system),) = scores.systems.items()
    summary = [
        f"By {name}, with a perplexity of {perplexity:.3f}.",
        f"Tokenizer: {scores.tokenizer}.",
        *scores.notes,
    ]
    with tempfile.TemporaryDirectory() as folder:
      page = scores_report.write(
          report_dir,
          title=f"Captions of the split {self.split_name}",
          summary=" ".join(summary),
          scores=system,
          captions={
              image_id: [
                  html_report.Caption(caption.sentence, caption.probability)
                  for caption in said
              ]
              for image_id, said in found.items()
          },
          images=_images(captioner, pathlib.Path(folder)),
      )
    logging.info("Report: %s", page)


def _images(
    captioner: split_captioner.SplitCaptioner, folder: pathlib.Path
) -> Iterator[captions_json.CaptionedImage]:
  """The images of the records, each written to a folder when it is needed."""
  suffix = f".{captioner.data.config.image_format}"
  encoded = distinct_images.encoded_images(captioner.data, captioner.split)
  references = captioner.split.references.items()
  for (image_id, said), image in zip(references, encoded, strict=True):
    path = folder / f"{image_id}{suffix}"
    with whole_file.errors_name(str(folder)):
      path.write_bytes(image)
    yield captions_json.CaptionedImage(image_id, os.fspath(path), said)
