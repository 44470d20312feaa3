"""Evaluates each new checkpoint of a folder, for TensorBoard."""

import math
import os
import time

from absl import logging
import tensorflow as tf

from im2txt import show_and_tell_model
from im2txt.checkpointing import best_checkpoint
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.evaluation import caption_evaluation
from im2txt.evaluation import evaluation_results
from im2txt.evaluation import perplexity
from im2txt.evaluation import ranking
from im2txt.input_data import caption_data
from im2txt.input_data import feature_metadata
from im2txt.runtime import folder_lock
from im2txt.training import training_summaries

# For how long training must be over before it counts as ended: it may be about
# to start again.
_ENDED_SECS = 30.0


def wait_for_checkpoint(
    checkpoint_dir: str, *, interval_secs: float, timeout_secs: float = 0
) -> bool:
  """Waits until a folder has a checkpoint, and so the model's configuration.

  Args:
    checkpoint_dir: The folder, which need not be there yet.
    interval_secs: From one look for it to the next.
    timeout_secs: How long to wait; 0 means for ever.

  Returns:
    Whether there is one.

  Raises:
    ValueError: If training in the folder has ended without one.
  """
  looks = _Looks(interval_secs, timeout_secs)
  watch = _TrainingWatch(checkpoint_dir)
  while looks.go_on():
    if _find(checkpoint_dir):
      return True
    watch.check("no checkpoint")
  return False


class EvaluationLoop:
  """Evaluates the newest checkpoint of a folder, again and again.

  Attributes:
    model: The `ShowAndTellModel`, with the weights of the last checkpoint.
    captions: What evaluates its captions too; None, as at first, for nothing.
    ranker: What ranks images and captions too; None, as at first, for nothing.
    best: What keeps the best checkpoint; None, as at first, for nothing.
    stop_after: After how many evaluations without gain `run` ends and training
      is to stop; 0, as at first, for never.
  """

  def __init__(
      self,
      *,
      data: caption_data.CaptionData,
      checkpoint_dir: str,
      eval_dir: str,
      max_examples: int,
      min_global_step: int = 0,
  ):
    """Makes the model, without weights yet.

    Args:
      data: What to evaluate on, with the model's configuration.
      checkpoint_dir: The folder with the checkpoints.
      eval_dir: Where to write events; made if missing.
      max_examples: How many captions to evaluate, if there are so many.
      min_global_step: Checkpoints of earlier steps are not evaluated.
    """
    self._data = data
    self._checkpoint_dir = checkpoint_dir
    self._max_examples = max_examples
    self._min_global_step = min_global_step
    if not tf.io.gfile.isdir(eval_dir):
      logging.info("Creating eval directory: %s", eval_dir)
      tf.io.gfile.makedirs(eval_dir)
    self.model = show_and_tell_model.ShowAndTellModel(data.config, "eval")
    self._evaluator = perplexity.PerplexityEvaluator(self.model)
    self._writer = training_summaries.SummaryWriter(eval_dir, self.model)
    self._evaluated: str | None = None
    self.captions: caption_evaluation.CaptionEvaluator | None = None
    self.ranker: ranking.Ranker | None = None
    self.best: best_checkpoint.BestCheckpoint | None = None
    self.stop_after = 0

  def run(self, *, interval_secs: float, timeout_secs: float = 0) -> None:
    """Evaluates every new checkpoint, until there is no gain any more.

    Args:
      interval_secs: From one look for a new checkpoint to the next.
      timeout_secs: Return when no new checkpoint came for so long; 0 means
        never.

    Raises:
      ValueError: If a checkpoint or the input can't be used, or training has
        ended before there was a checkpoint to evaluate.
    """
    looks = _Looks(interval_secs, timeout_secs)
    watch = _TrainingWatch(self._checkpoint_dir)
    while looks.go_on():
      if self.run_once() is not None:
        looks.found()
        if self.stop_training():
          return
      elif self._evaluated is None:
        watch.check(f"no checkpoint of step {self._min_global_step} or later")

  def run_once(self) -> evaluation_results.Evaluation | None:
    """Evaluates the newest checkpoint unless that has been done.

    Returns:
      What was found; None if there is no checkpoint to evaluate, which the log
      explains.

    Raises:
      ValueError: If the checkpoint or the input can't be used.
    """
    logging.info(
        "Starting evaluation at %s", time.strftime("%Y-%m-%d-%H:%M:%S")
    )
    checkpoint = _find(self._checkpoint_dir)
    if checkpoint is None:
      return None
    try:
      if checkpoint == self._evaluated:
        logging.info("Skipping evaluation. No new checkpoint: %s", checkpoint)
        return None
      step = self._load(checkpoint)
      if step < self._min_global_step:
        logging.info(
            "Skipping evaluation. Global step = %d < %d",
            step,
            self._min_global_step,
        )
        return None
      if self.best:
        self.best.hold(checkpoint)
    except FileNotFoundError as error:
      # Training deletes old checkpoints, even while they are being read.
      logging.info("Skipping evaluation. %s", error)
      return None
    result = self._evaluate(os.path.basename(checkpoint), step)
    if self.best:
      metrics = {**result.metrics(), "perplexity": result.perplexity}
      value = metrics[self.best.best.metric]
      self.best.offer(checkpoint, step=step, value=value)
    self._evaluated = checkpoint
    return result

  def evaluate(
      self, checkpoint: str, name: str, *, label: str
  ) -> evaluation_results.Evaluation:
    """Evaluates a checkpoint, whatever its step.

    Args:
      checkpoint: The checkpoint's path, without suffix.
      name: What to call it.
      label: See `CaptionOutputs.write`.

    Returns:
      What was found.

    Raises:
      FileNotFoundError: If there is no such checkpoint.
      ValueError: If the checkpoint or the input can't be used.
    """
    step = self._load(checkpoint)
    return self._evaluate(name, step, label=label)

  def stop_training(self) -> bool:
    """Tells training to stop if there was no gain for long enough.

    Returns:
      Whether it did. Evaluations of earlier runs of the program count too.
    """
    if not self.best or not self.stop_after:
      return False
    best = self.best.best
    if best.num_without_gain < self.stop_after:
      return False
    reason = (
        f"No gain in {best.metric} for {best.num_without_gain} evaluations"
        f" (--stop_after={self.stop_after}) since step {best.step}."
    )
    logging.info("%s Training is told to stop.", reason)
    best_checkpoint.request_stop(self._checkpoint_dir, reason)
    return True

  def _load(self, checkpoint: str) -> int:
    """Takes over a checkpoint's weights; returns its global step."""
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

  def _evaluate(
      self, name: str, step: int, label: str = ""
  ) -> evaluation_results.Evaluation:
    if self._data.are_features:
      feature_metadata.check_encoder(
          self._data.files, self.model.encoder, self._data.config
      )
    start = time.monotonic()
    result = self._evaluator.evaluate(
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
    if self.captions:
      scores = self.captions.evaluate(
          name, self._writer, perplexity=value, step=step, label=label
      )
    ranks = None
    if self.ranker:
      ranks = self.ranker.rank()
      self._writer.write_scalars(ranks.scalars(), step=step)
    logging.info("Finished processing evaluation at global step %d.", step)
    return evaluation_results.Evaluation(name, step, value, scores, ranks)


class _Looks:
  """When to look for checkpoints: every so often, until none comes for long."""

  def __init__(self, interval_secs: float, timeout_secs: float):
    self._interval_secs = interval_secs
    self._timeout_secs = timeout_secs
    self._next_look: float | None = None
    self.found()

  def found(self) -> None:
    """Notes that there was a checkpoint."""
    self._deadline = time.monotonic() + (self._timeout_secs or math.inf)

  def go_on(self) -> bool:
    """Sleeps until the next look is due, if any is; the first is at once."""
    if self._next_look is not None:
      wake_up = min(self._next_look, self._deadline)
      time.sleep(max(wake_up - time.monotonic(), 0))
      if time.monotonic() >= self._deadline:
        logging.info("No new checkpoint for %d seconds.", self._timeout_secs)
        return False
    self._next_look = time.monotonic() + self._interval_secs
    return True


class _TrainingWatch:
  """Notices that training in a folder has ended, or failed."""

  def __init__(self, folder: str):
    self._folder = folder
    self._over_since: float | None = None

  def check(self, what: str) -> None:
    """Raises a ValueError if training has ended.

    Args:
      what: What there is to evaluate, for the message.
    """
    if not folder_lock.was_released(self._folder):
      self._over_since = None
      return
    now = time.monotonic()
    if self._over_since is None:
      self._over_since = now
    if now - self._over_since >= _ENDED_SECS:
      raise ValueError(
          f"Training in {self._folder} has ended or failed, and there is {what}"
          " to evaluate (--min_global_step). See what train said last."
      )


def _find(checkpoint_dir: str) -> str | None:
  """The newest checkpoint of a folder; if there is none, the log says so."""
  try:
    checkpoint = checkpoint_paths.find_latest(checkpoint_dir)
  except FileNotFoundError as error:
    # Training deletes old checkpoints, even while they are looked for.
    logging.info("Skipping evaluation. %s", error)
    return None
  if checkpoint is None:
    logging.info(
        "Skipping evaluation. No checkpoint found in: %s", checkpoint_dir
    )
  return checkpoint
