"""Runs evaluation as configured by the flags of `evaluate`.

files, configuration -> data, model -> EvaluationLoop
                             +-> captions, ranking, best checkpoint -^
"""

from collections.abc import Collection
import dataclasses
import os
import pathlib

from absl import logging

from im2txt import captioning
from im2txt import configuration
from im2txt import show_and_tell_model
from im2txt.checkpointing import best_checkpoint
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import saved_config
from im2txt.data import caption_data
from im2txt.evaluation import caption_evaluation
from im2txt.evaluation import evaluation_loop
from im2txt.evaluation import ranking
from im2txt.ops import inputs
from im2txt.report import html_report


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
  """Settings of an evaluation; all fields but the last are flags.

  Attributes:
    search_options: Beam search options for evaluating captions.
  """

  input_file_pattern: str
  input_feature_pattern: str
  allow_missing_shards: bool = False
  checkpoint_dir: str
  checkpoints: str
  eval_dir: str
  eval_interval_secs: int
  num_eval_examples: int
  min_global_step: int
  once: bool
  timeout_secs: int
  caption_metrics: bool
  vocab_file: str
  split: str
  metrics: Collection[str]
  tokenizer: str
  training_captions: str
  report_dir: str
  keep_best: str | None
  best_dir: str
  stop_after: int
  ranking: bool
  ranking_images: int
  config_overrides: str
  search_options: captioning.SearchOptions


def evaluate(settings: EvaluationSettings) -> list[evaluation_loop.Evaluation]:
  """Runs an evaluation.

  Args:
    settings: The settings of the evaluation.

  Returns:
    The results of each checkpoint; without `once`, an empty list. Checkpoints
    of `checkpoints` that are deleted meanwhile are left out.

  Raises:
    OSError: If a file can't be read or written.
    ValueError: If the configuration or a file is invalid, or `once` is set and
      there is no checkpoint to evaluate.
  """
  if settings.checkpoints:
    return _evaluate_all(settings)
  _check_report(settings.report_dir)
  path = settings.checkpoint_dir
  if checkpoint_paths.exists(path) or os.path.isfile(path):
    raise ValueError(
        "--checkpoint_dir must be a folder, whose newest checkpoint is"
        f" evaluated. To evaluate {path}, give it to --checkpoints with --once."
    )
  if not settings.once:
    _evaluate_new(settings)
    return []
  config, _ = saved_config.load(
      settings.checkpoint_dir, settings.config_overrides
  )
  loop = _make_loop(settings, config)
  evaluation = loop.run_once()
  if evaluation is None:
    raise ValueError(
        f"No checkpoint of step {settings.min_global_step} (--min_global_step)"
        f" or later to evaluate in {settings.checkpoint_dir}."
    )
  loop.stop_training()
  return [evaluation]


def _evaluate_new(settings: EvaluationSettings) -> None:
  """Evaluates each new checkpoint of a folder."""
  timing = {
      "interval_secs": settings.eval_interval_secs,
      "timeout_secs": settings.timeout_secs,
  }
  # If training is about to begin, its configuration comes with a checkpoint.
  if evaluation_loop.wait_for_checkpoint(settings.checkpoint_dir, **timing):
    config, _ = saved_config.load(
        settings.checkpoint_dir, settings.config_overrides
    )
    _make_loop(settings, config).run(**timing)


def _evaluate_all(
    settings: EvaluationSettings,
) -> list[evaluation_loop.Evaluation]:
  """Evaluates all checkpoints that --checkpoints matches."""
  paths = checkpoint_paths.find_all(settings.checkpoints)
  labels = {name: name.replace(os.sep, "_") for name in paths}
  for label in labels.values():
    _check_report(settings.report_dir, label)
  evaluations = []
  loop_config = None
  for name, path in paths.items():
    try:
      config, _ = saved_config.load(path, settings.config_overrides)
      if config != loop_config:  # Equal configurations share one model.
        loop, loop_config = _make_loop(settings, config), config
      evaluations.append(loop.evaluate(path, name, label=labels[name]))
    except FileNotFoundError as error:
      # Training deletes old checkpoints, even while others are evaluated.
      if checkpoint_paths.exists(path):
        raise
      logging.warning("Skipping evaluation. %s", error)
  if not evaluations:
    raise FileNotFoundError(
        f"All checkpoints were deleted meanwhile: {', '.join(paths.values())}."
    )
  return evaluations


def _check_report(report_dir: str, label: str = "") -> None:
  """Checks the folder of a report before hours of captioning, not after."""
  if report_dir:
    html_report.check(pathlib.Path(report_dir, label))


def _make_loop(
    settings: EvaluationSettings, config: configuration.ModelConfig
) -> evaluation_loop.EvaluationLoop:
  data = caption_data.CaptionData(
      files=inputs.input_files(
          settings.input_file_pattern,
          settings.input_feature_pattern,
          allow_missing_shards=settings.allow_missing_shards,
      ),
      config=config,
      are_features=bool(settings.input_feature_pattern),
  )
  model = show_and_tell_model.ShowAndTellModel(config, "eval")
  captions = None
  if settings.caption_metrics:
    captions = caption_evaluation.make_evaluator(
        model,
        data,
        vocab_file=settings.vocab_file,
        folder=settings.eval_dir,
        split_name=settings.split,
        training_captions_file=settings.training_captions,
        report_dir=settings.report_dir,
        metrics=settings.metrics,
        tokenizer=settings.tokenizer,
        **settings.search_options,
    )
  best = None
  if settings.keep_best:
    best_dir = settings.best_dir or os.path.join(
        settings.checkpoint_dir, "best"
    )
    best = best_checkpoint.BestCheckpoint(best_dir, settings.keep_best)
  ranker = None
  if settings.ranking:
    ranker = ranking.Ranker(model, data, max_images=settings.ranking_images)
  return evaluation_loop.EvaluationLoop(
      model=model,
      data=data,
      checkpoint_dir=settings.checkpoint_dir,
      eval_dir=settings.eval_dir,
      max_examples=settings.num_eval_examples,
      min_global_step=settings.min_global_step,
      captions=captions,
      ranker=ranker,
      best=best,
      stop_after=settings.stop_after,
  )
