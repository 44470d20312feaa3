"""Evaluates a model by its captions, a checkpoint after the other.

records --once an image--> model, beam search --> captions
   |                                                 |
   +----- what people say of the same image ----> scores --> TensorBoard,
                                                             files, report
"""

from collections.abc import Collection
import time
from typing import Unpack

from absl import logging

from im2txt import captioning
from im2txt import show_and_tell_model
from im2txt.data import captions_json
from im2txt.evaluation import caption_outputs
from im2txt.evaluation import caption_samples
from im2txt.evaluation import comparison
from im2txt.evaluation import split_captioner
from im2txt.inference_utils import vocabulary
from im2txt.input_data import caption_data
from im2txt.input_data import distinct_images
from im2txt.training import training_summaries

# `Perplexity` has no group, as the original wrote it.
_METRICS_GROUP = "caption_metrics"
_STATISTICS_GROUP = "caption_statistics"
_SAMPLES_GROUP = "captions"
_NUM_SAMPLES = 8

_FEATURES_NOTE = (
    "The references are those of cached features, which hold rare words as the"
    " unknown word; scores differ from those of image records."
)


class CaptionEvaluator:
  """Captions the split, scores the captions and writes down what is found."""

  def __init__(
      self,
      captioner: split_captioner.SplitCaptioner,
      outputs: caption_outputs.CaptionOutputs,
      *,
      training_captions: Collection[str] | None = None,
      metrics: Collection[str] = comparison.SCORERS,
      tokenizer: str = "auto",
  ):
    """Takes the parts.

    Args:
      captioner: Captions the split.
      outputs: Writes the files.
      training_captions: What the model learned from, if known.
      metrics: As the scorers of `comparison.compare`.
      tokenizer: As of `comparison.compare`.
    """
    self._captioner = captioner
    self._outputs = outputs
    self._training_captions = training_captions
    self._metrics = metrics
    self._tokenizer = tokenizer
    self._samples = caption_samples.choose(captioner, _NUM_SAMPLES)

  def evaluate(
      self,
      name: str,
      writer: training_summaries.SummaryWriter,
      *,
      perplexity: float,
      step: int,
      label: str = "",
  ) -> comparison.Comparison:
    """Evaluates the model as it is.

    Args:
      name: What to call it.
      writer: Writes for TensorBoard.
      perplexity: The model's, to be written along.
      step: The model's global step.
      label: See `CaptionOutputs.write`.

    Returns:
      The scores, of one system by that name.

    Raises:
      ValueError: If an image can't be decoded; the message says which.
    """
    start = time.monotonic()
    found = self._captioner.caption()
    logging.info(
        "Captioned %d images (%.2g sec)", len(found), time.monotonic() - start
    )
    # An image without any caption is scored as one with an empty caption.
    sentences = {
        i: [caption.sentence for caption in said] or [""]
        for i, said in found.items()
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
        found, scores, self._captioner, perplexity=perplexity, label=label
    )
    writer.write_scalars(_scalars(scores.systems[name]), step=step)
    self._write_samples(found, writer, step)
    return scores

  def _write_samples(self, found, writer, step: int) -> None:
    for image_id, picture in self._samples:
      if picture is not None:
        caption = found[image_id][0].sentence if found[image_id] else ""
        writer.write_picture(
            f"{_SAMPLES_GROUP}/{image_id}",
            caption_samples.with_caption(picture, caption),
            step=step,
        )
    text = caption_samples.table(self._samples, found, self._captioner.split)
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
  """Makes an evaluator from the names of files.

  Args:
    model: The model, in mode "eval".
    data: The records.
    vocab_file: The vocabulary it is trained with.
    folder: See `CaptionOutputs`.
    split_name: See `CaptionOutputs`; by default the records' names tell.
    training_captions_file: Captions of MSCOCO's form that the model learned
      from, if they are known.
    report_dir: See `CaptionOutputs`.
    metrics: As the scorers of `comparison.compare`.
    tokenizer: As of `comparison.compare`.
    **search_options: See `captioning.SearchOptions`.

  Returns:
    The evaluator.

  Raises:
    FileNotFoundError: If one of the files is missing.
    ValueError: If one of them can't be used.
  """
  training_captions = None
  if training_captions_file:
    images = captions_json.load_captions(training_captions_file, None)
    training_captions = [c for image in images for c in image.captions]
  outputs = caption_outputs.CaptionOutputs(
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


def _scalars(scores: comparison.SystemScores) -> dict[str, float]:
  """All figures by their tags."""
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
