"""Evaluates checkpoints: each new one of a folder, or any given one."""

from collections.abc import Sequence
import math
import os
import time
from typing import NamedTuple

from absl import logging
import tensorflow as tf

from im2txt import show_and_tell_model
from im2txt.checkpointing import best_checkpoint
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.data import caption_data
from im2txt.data import feature_cache
from im2txt.evaluation import caption_evaluation
from im2txt.evaluation import comparison
from im2txt.evaluation import perplexity
from im2txt.evaluation import ranking
from im2txt.runtime import folder_lock
from im2txt.training import training_summaries

# How long training must be over before it counts as ended, because it may be
# restarted soon.
_ENDED_SECS = 30.0


class Evaluation(NamedTuple):
  """Results of the evaluation of a checkpoint.

  Attributes:
    name: The name of the checkpoint.
    step: The global step.
    perplexity: The perplexity of the captions of the split.
    captions: Scores of the generated captions, as the only system, called
      `name`; None if captions were not evaluated.
    ranks: The ranking of images and captions; None if not computed.
  """

  name: str
  step: int
  perplexity: float
  captions: comparison.Comparison | None = None
  ranks: ranking.Ranking | None = None

  def metrics(self) -> dict[str, float]:
    """Returns all printed metrics by name."""
    metrics = {"Perplexity": self.perplexity}
    if self.captions:
      metrics |= self.captions.systems[self.name].corpus
    return metrics


def table(evaluations: Sequence[Evaluation]) -> str:
  """Returns a Markdown table with one row per checkpoint, followed by notes.

  Args:
    evaluations: One or more evaluations; all with captions, or none.

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
  """Returns an empty line and a Markdown table; "" if nothing was ranked."""
  ranked = [(e.name, e.ranks) for e in evaluations if e.ranks]
  rows = [
      {"checkpoint": name, **row}
      for name, ranks in ranked
      for row in ranks.rows()
  ]
  if not rows:
    return ""
  first = ranked[0][1]
  return (
      f"\n{comparison.align(rows)}\n\n"
      f"Of {first.num_images} images and {first.num_captions} captions.\n"
  )


def wait_for_checkpoint(
    checkpoint_dir: str, *, interval_secs: float, timeout_secs: float = 0
) -> bool:
  """Waits until a folder has a checkpoint, and so the model's configuration.

  Args:
    checkpoint_dir: The folder, which need not exist yet.
    interval_secs: The polling interval.
    timeout_secs: The maximal time to wait; 0 means forever.

  Returns:
    Whether a checkpoint exists.

  Raises:
    ValueError: If training in the folder has ended without a checkpoint.
  """
  poller = _Poller(interval_secs, timeout_secs)
  training = _TrainingMonitor(checkpoint_dir)
  while poller.wait():
    if _find_latest(checkpoint_dir):
      return True
    training.check("no checkpoint")
  return False


class EvaluationLoop:
  """Evaluator of checkpoints, such as the newest one of a folder.

  Attributes:
    model: The `ShowAndTellModel`, with the weights of the last checkpoint.
  """

  def __init__(
      self,
      *,
      model: show_and_tell_model.ShowAndTellModel,
      data: caption_data.CaptionData,
      checkpoint_dir: str,
      eval_dir: str,
      max_examples: int,
      min_global_step: int = 0,
      captions: caption_evaluation.CaptionEvaluator | None = None,
      ranker: ranking.Ranker | None = None,
      best: best_checkpoint.BestCheckpoint | None = None,
      stop_after: int = 0,
  ):
    """Initializes the loop and creates `eval_dir`.

    Args:
      model: The model, in mode "eval"; `captions` and `ranker` must use it too.
      data: The captions and images to evaluate on, with the configuration of
        the model.
      checkpoint_dir: The folder of the checkpoints.
      eval_dir: The folder for event files; created if missing.
      max_examples: The number of captions to compute the perplexity of, if the
        data has as many.
      min_global_step: The step before which checkpoints are skipped.
      captions: Evaluator of the model's captions; None to skip this.
      ranker: Ranker of images and captions; None to skip this.
      best: Storage of the best checkpoint; None to keep none.
      stop_after: The number of evaluations without improvement after which
        training is asked to stop and `run` returns; 0 means never. Needs
        `best`.
    """
    self.model = model
    self._data = data
    self._checkpoint_dir = checkpoint_dir
    self._max_examples = max_examples
    self._min_global_step = min_global_step
    self._captions = captions
    self._ranker = ranker
    self._best = best
    self._stop_after = stop_after
    if not tf.io.gfile.isdir(eval_dir):
      logging.info("Creating eval directory: %s", eval_dir)
      tf.io.gfile.makedirs(eval_dir)
    self._perplexity = perplexity.PerplexityEvaluator(model)
    self._writer = training_summaries.SummaryWriter(eval_dir, model)
    self._evaluated: str | None = None

  def run(self, *, interval_secs: float, timeout_secs: float = 0) -> None:
    """Evaluates every new checkpoint until a timeout or early stopping.

    Args:
      interval_secs: The polling interval.
      timeout_secs: Time without a new checkpoint after which to return; 0
        means never.

    Raises:
      ValueError: If a checkpoint or the input is invalid, or training has
        ended without a checkpoint to evaluate.
    """
    poller = _Poller(interval_secs, timeout_secs)
    training = _TrainingMonitor(self._checkpoint_dir)
    while poller.wait():
      if self.run_once() is not None:
        poller.restart_timeout()
        if self.stop_training():
          return
      elif self._evaluated is None:
        training.check(
            f"no checkpoint of step {self._min_global_step} or later"
        )

  def run_once(self) -> Evaluation | None:
    """Evaluates the newest checkpoint unless it has been evaluated already.

    Returns:
      The results; None if there is no checkpoint to evaluate, for a reason
      that is logged.

    Raises:
      ValueError: If the checkpoint or the input is invalid.
    """
    logging.info(
        "Starting evaluation at %s", time.strftime("%Y-%m-%d-%H:%M:%S")
    )
    checkpoint = _find_latest(self._checkpoint_dir)
    if checkpoint is None:
      return None
    try:
      if checkpoint == self._evaluated:
        logging.info("Skipping evaluation. No new checkpoint: %s", checkpoint)
        return None
      step = self._restore(checkpoint)
      if step < self._min_global_step:
        logging.info(
            "Skipping evaluation. Global step = %d < %d",
            step,
            self._min_global_step,
        )
        return None
      if self._best:
        self._best.hold(checkpoint)
    except FileNotFoundError as error:
      # Training deletes old checkpoints, even while they are being read.
      logging.info("Skipping evaluation. %s", error)
      return None
    evaluation = self._evaluate(os.path.basename(checkpoint), step)
    if self._best:
      metrics = {**evaluation.metrics(), "perplexity": evaluation.perplexity}
      value = metrics[self._best.best.metric]
      self._best.offer(checkpoint, step=step, value=value)
    self._evaluated = checkpoint
    return evaluation

  def evaluate(self, checkpoint: str, name: str, *, label: str) -> Evaluation:
    """Evaluates a checkpoint, whatever its step.

    Args:
      checkpoint: The path of the checkpoint, without suffix.
      name: The name of the checkpoint in the results.
      label: A suffix for file names; see `CaptionOutputs.write`.

    Returns:
      The results.

    Raises:
      FileNotFoundError: If the checkpoint does not exist.
      ValueError: If the checkpoint or the input is invalid.
    """
    step = self._restore(checkpoint)
    return self._evaluate(name, step, label=label)

  def stop_training(self) -> bool:
    """Asks training to stop if it has not improved for long enough.

    Returns:
      Whether training was asked to stop. Evaluations of earlier runs of the
      program count too.
    """
    if not self._best or not self._stop_after:
      return False
    best = self._best.best
    if best.num_without_gain < self._stop_after:
      return False
    reason = (
        f"No gain in {best.metric} for {best.num_without_gain} evaluations"
        f" (--stop_after={self._stop_after}) since step {best.step}."
    )
    logging.info("%s Requesting training to stop.", reason)
    best_checkpoint.request_stop(self._checkpoint_dir, reason)
    return True

  def _restore(self, checkpoint: str) -> int:
    """Restores a checkpoint into the model and returns its global step."""
    logging.info("Loading model from checkpoint: %s", checkpoint)
    checkpoints.restore(
        self.model.checkpoint_variables(),
        checkpoint,
        averaged=self._data.config.use_ema,
    )
    step = int(self.model.global_step.numpy())
    logging.info(
        "Successfully loaded %s at global step = %d.", checkpoint, step
    )
    return step

  def _evaluate(self, name: str, step: int, label: str = "") -> Evaluation:
    if self._data.are_features:
      feature_cache.check_encoder(
          self._data.files, self.model.encoder, self._data.config
      )
    start = time.monotonic()
    result = self._perplexity.evaluate(
        self._data, max_examples=self._max_examples
    )
    value = result.perplexity
    logging.info("Perplexity = %f (%.2g sec)", value, time.monotonic() - start)
    loss = result.sum_losses / result.num_words
    scalars = {
        "Perplexity": value,
        "losses/batch_loss": loss,
        "losses/total_loss": loss,
    }
    self._writer.write_scalars(scalars, step=step)
    self._writer.write_first_image(self._data, step=step)
    self._writer.write_batch(result.last_batch, step=step)
    self._writer.write_parameters(step=step)
    scores = None
    if self._captions:
      scores = self._captions.evaluate(
          name, self._writer, perplexity=value, step=step, label=label
      )
    ranks = None
    if self._ranker:
      ranks = self._ranker.rank()
      self._writer.write_scalars(ranks.scalars(), step=step)
    logging.info("Finished processing evaluation at global step %d.", step)
    return Evaluation(name, step, value, scores, ranks)


class _Poller:
  """Timer of a polling loop, with an interval and a timeout."""

  def __init__(self, interval_secs: float, timeout_secs: float):
    self._interval_secs = interval_secs
    self._timeout_secs = timeout_secs
    self._next_poll: float | None = None
    self.restart_timeout()

  def restart_timeout(self) -> None:
    """Restarts the timeout, after a new checkpoint."""
    self._deadline = time.monotonic() + (self._timeout_secs or math.inf)

  def wait(self) -> bool:
    """Sleeps until the next poll; the first call returns at once.

    Returns:
      Whether to poll; False after the timeout.
    """
    if self._next_poll is not None:
      wake_up = min(self._next_poll, self._deadline)
      time.sleep(max(wake_up - time.monotonic(), 0))
      if time.monotonic() >= self._deadline:
        logging.info("No new checkpoint for %d seconds.", self._timeout_secs)
        return False
    self._next_poll = time.monotonic() + self._interval_secs
    return True


class _TrainingMonitor:
  """Detector of the end or failure of the training in a folder."""

  def __init__(self, folder: str):
    self._folder = folder
    self._ended_at: float | None = None

  def check(self, missing: str) -> None:
    """Raises a ValueError if training has ended.

    Args:
      missing: What there is to evaluate, such as "no checkpoint", for the
        message.
    """
    if not folder_lock.was_released(self._folder):
      self._ended_at = None
      return
    now = time.monotonic()
    if self._ended_at is None:
      self._ended_at = now
    if now - self._ended_at >= _ENDED_SECS:
      raise ValueError(
          f"Training in {self._folder} has ended or failed, and there is"
          f" {missing} to evaluate (--min_global_step). See the last output of"
          " train."
      )


def _find_latest(checkpoint_dir: str) -> str | None:
  """Returns the newest checkpoint of a folder; logs the reason for None."""
  try:
    checkpoint = checkpoint_paths.find_latest(checkpoint_dir)
  except FileNotFoundError as error:
    # Training deletes old checkpoints, even during the search.
    logging.info("Skipping evaluation. %s", error)
    return None
  if checkpoint is None:
    logging.info(
        "Skipping evaluation. No checkpoint found in: %s", checkpoint_dir
    )
  return checkpoint
