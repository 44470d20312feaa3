"""Evaluates a model by the captions it generates, checkpoint by checkpoint.

records --once per image--> model, beam search --> captions
   |                                                  |
   +------------- reference captions -----------> scores --> TensorBoard,
                                                             files, report

For a split "val" the evaluation folder gets

    captions_val_results.json   for the COCO server and tools
    captions_val_scores.jsonl   captions and scores, one line per image
    captions_val_summary.json   all corpus scores, and the settings

and, if requested, the report gets a folder of its own. Each file is written
atomically.
"""

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import os
import pathlib
import tempfile
import time
from typing import Any
from typing import Unpack

from absl import logging

from im2txt import captioning
from im2txt import show_and_tell_model
from im2txt.data import caption_data
from im2txt.data import caption_sources
from im2txt.data import distinct_images
from im2txt.evaluation import coco_results
from im2txt.evaluation import comparison
from im2txt.evaluation import scores_report
from im2txt.evaluation import split_captioner
from im2txt.inference_utils import vocabulary
from im2txt.report import html_report
from im2txt.runtime import atomic_files
from im2txt.training import training_summaries

# `Perplexity` has no group, as in the original.
_METRICS_GROUP = "caption_metrics"
_STATISTICS_GROUP = "caption_statistics"
_SAMPLES_GROUP = "captions"
_NUM_SAMPLES = 8

_FEATURES_NOTE = (
    "The references come from cached features, where rare words are replaced by"
    " the unknown word, so the scores differ from those of image records."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaptionOutputs:
  """Files and report of an evaluation of captions.

  Attributes:
    folder: The existing folder for the files.
    split_name: The name of the split, part of the file names.
    settings: The settings of the evaluation, for the summary.
    report_dir: The folder of the report, or of reports by label; empty for no
      report.
  """

  folder: str
  split_name: str
  settings: Mapping[str, Any]
  report_dir: str = ""

  def write(
      self,
      captions: split_captioner.CaptionsById,
      scores: comparison.Comparison,
      captioner: split_captioner.SplitCaptioner,
      *,
      perplexity: float,
      label: str = "",
  ) -> None:
    """Writes all files, replacing those of an earlier checkpoint.

    Args:
      captions: The captions by image id.
      scores: The scores of the captions, as the only system.
      captioner: The captioner, for the images and references of the split.
      perplexity: The perplexity of the model on the same split.
      label: A suffix of the split name in file names, in the style of the COCO
        server. Keeps the files of several checkpoints apart.
    """
    (name,) = scores.systems
    best = {i: c[0].sentence if c else "" for i, c in captions.items()}
    coco_results.write(self._path(label, "results.json"), best.items())
    sentences = {i: [c.sentence for c in cs] for i, cs in captions.items()}
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
      self._write_report(report_dir, captions, scores, captioner, perplexity)

  def _path(self, label: str, suffix: str) -> str:
    parts = ["captions", self.split_name, *([label] if label else []), suffix]
    return os.path.join(self.folder, "_".join(parts))

  def _write_report(
      self, report_dir, captions, scores, captioner, perplexity: float
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
                  html_report.ReportCaption(
                      caption.sentence, caption.probability
                  )
                  for caption in image_captions
              ]
              for image_id, image_captions in captions.items()
          },
          images=_images(captioner, pathlib.Path(folder)),
      )
    logging.info("Report: %s", page)


class CaptionEvaluator:
  """Evaluator of the captions that a model generates for a split."""

  def __init__(
      self,
      captioner: split_captioner.SplitCaptioner,
      outputs: CaptionOutputs,
      *,
      training_captions: Collection[str] | None = None,
      metrics: Collection[str] = comparison.SCORERS,
      tokenizer: str = "auto",
  ):
    """Initializes the evaluator and chooses the samples.

    Args:
      captioner: The captioner of the split.
      outputs: The writer of the files.
      training_captions: The captions the model was trained on, if known.
      metrics: The scorers; see `comparison.compare`.
      tokenizer: One of `caption_tokenizer.TOKENIZERS`.
    """
    self._captioner = captioner
    self._outputs = outputs
    self._training_captions = training_captions
    self._metrics = metrics
    self._tokenizer = tokenizer
    self._samples = split_captioner.choose_samples(captioner, _NUM_SAMPLES)

  def evaluate(
      self,
      name: str,
      writer: training_summaries.SummaryWriter,
      *,
      perplexity: float,
      step: int,
      label: str = "",
  ) -> comparison.Comparison:
    """Evaluates the model with its current weights.

    Args:
      name: A name for the model.
      writer: The writer of the TensorBoard events.
      perplexity: The perplexity of the model, for the summary and the report.
      step: The global step of the model.
      label: A suffix for file names; see `CaptionOutputs.write`.

    Returns:
      The scores, as the only system, called `name`.

    Raises:
      ValueError: If an image can't be decoded; the message names its file.
    """
    start = time.monotonic()
    captions = self._captioner.caption()
    logging.info(
        "Captioned %d images (%.2g sec)",
        len(captions),
        time.monotonic() - start,
    )
    # An image without captions is scored as one with an empty caption.
    sentences = {
        image_id: [caption.sentence for caption in image_captions] or [""]
        for image_id, image_captions in captions.items()
    }
    scores = comparison.compare(
        self._captioner.split.references,
        {name: sentences},
        training_captions=self._training_captions,
        scorers=self._metrics,
        tokenizer=self._tokenizer,
    )
    if self._captioner.data.are_features:
      scores = scores._replace(notes=[*scores.notes, _FEATURES_NOTE])
    for note in scores.notes:
      logging.info("%s", note)
    for metric, value in scores.systems[name].corpus.items():
      logging.info("%s = %f", metric, value)
    self._outputs.write(
        captions, scores, self._captioner, perplexity=perplexity, label=label
    )
    writer.write_scalars(_scalars(scores.systems[name]), step=step)
    self._write_samples(captions, writer, step)
    return scores

  def _write_samples(self, captions, writer, step: int) -> None:
    for image_id, picture in self._samples:
      if picture is not None:
        caption = captions[image_id][0].sentence if captions[image_id] else ""
        writer.write_picture(
            f"{_SAMPLES_GROUP}/{image_id}",
            split_captioner.draw_caption(picture, caption),
            step=step,
        )
    text = split_captioner.sample_table(
        self._samples, captions, self._captioner.split
    )
    writer.write_text(_SAMPLES_GROUP, text, step=step)


def make_evaluator(
    model: show_and_tell_model.ShowAndTellModel,
    data: caption_data.CaptionData,
    *,
    vocab_file: str,
    folder: str,
    split_name: str = "",
    training_captions_file: str = "",
    report_dir: str = "",
    metrics: Collection[str] = comparison.SCORERS,
    tokenizer: str = "auto",
    **search_options: Unpack[captioning.SearchOptions],
) -> CaptionEvaluator:
  """Makes an evaluator from file names and options.

  Args:
    model: The model, in mode "eval".
    data: The records.
    vocab_file: The vocabulary file that the model was trained with.
    folder: The existing folder for the files.
    split_name: The name of the split in file names; derived from the names of
      the records if empty.
    training_captions_file: The training captions in MSCOCO's format, if known.
    report_dir: The folder of the report; empty for no report.
    metrics: The scorers; see `comparison.compare`.
    tokenizer: One of `caption_tokenizer.TOKENIZERS`.
    **search_options: Beam search options; see `captioning.SearchOptions`.

  Returns:
    The evaluator.

  Raises:
    FileNotFoundError: If one of the files is missing.
    ValueError: If one of the files is invalid.
  """
  training_captions = None
  if training_captions_file:
    images = caption_sources.load_captions(training_captions_file, None)
    training_captions = [c for image in images for c in image.captions]
  outputs = CaptionOutputs(
      folder=folder,
      split_name=split_name or distinct_images.split_name(data.files),
      settings={
          "references": list(data.files),
          "training_captions": training_captions_file or None,
          "metrics": list(metrics),
          "tokenizer": tokenizer,
          **search_options,
      },
      report_dir=report_dir,
  )
  return CaptionEvaluator(
      split_captioner.SplitCaptioner(
          model, vocabulary.Vocabulary(vocab_file), data, **search_options
      ),
      outputs,
      training_captions=training_captions,
      metrics=metrics,
      tokenizer=tokenizer,
  )


def _images(
    captioner: split_captioner.SplitCaptioner, folder: pathlib.Path
) -> Iterator[caption_sources.CaptionedImage]:
  """Yields the images of the records, each written to a folder on demand."""
  suffix = f".{captioner.data.config.image_format}"
  encoded = distinct_images.encoded_images(captioner.data, captioner.split)
  references = captioner.split.references.items()
  for (image_id, captions), image in zip(references, encoded, strict=True):
    path = folder / f"{image_id}{suffix}"
    with atomic_files.errors_name(str(folder)):
      path.write_bytes(image)
    yield caption_sources.CaptionedImage(image_id, os.fspath(path), captions)


def _scalars(scores: comparison.SystemScores) -> dict[str, float]:
  """Returns all scores and statistics by TensorBoard tag."""
  scalars = {f"{_METRICS_GROUP}/{m}": v for m, v in scores.corpus.items()}
  if scores.oracle_cider is not None:
    scalars[f"{_METRICS_GROUP}/oracle_CIDEr"] = scores.oracle_cider
  statistics = scores.statistics._asdict() | {
      "novelty": scores.statistics.novelty
  }
  for field, value in statistics.items():
    if value is not None:
      scalars[f"{_STATISTICS_GROUP}/{field}"] = value
  return scalars
