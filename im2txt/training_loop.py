"""Trains a model step by step: logs, checkpoints, summaries, stops, resumes."""

import math
import os
import time

from absl import logging
import tensorflow as tf

from im2txt import best_checkpoint
from im2txt import caption_data
from im2txt import checkpoint_saver
from im2txt import checkpoints
from im2txt import configuration
from im2txt import encoder_weights
from im2txt import feature_metadata
from im2txt import stop_signals
from im2txt import training
from im2txt import training_summaries
from im2txt.ops import inputs

# Often enough to see that a run goes on and when it will end.
_RATE_LOG_SECS = 10.0

# How often to look whether evaluation found that there is no gain any more.
_STOP_LOOK_SECS = 10.0


class DivergedError(ValueError):
  """The loss or its gradient is no longer a finite number."""


class TrainingLoop:
  """A run of training in a folder, from its newest checkpoint on.

  Attributes:
    trainer: The `training.Trainer`, as restored.
  """

  def __init__(
      self,
      *,
      model_config: configuration.ModelConfig,
      training_config: configuration.TrainingConfig,
      train_dir: str,
      train_inception: bool = False,
      inception_checkpoint_file: str = "",
      strategy: tf.distribute.Strategy | None = None,
      objective: training.Objective | None = None,
  ):
    """Makes the model, from `train_dir` if it has a checkpoint.

    Args:
      model_config: The model's configuration.
      training_config: The training configuration.
      train_dir: Where checkpoints, configuration and summaries are; made if
        missing.
      train_inception: Whether to train the encoder as well as the decoder.
      inception_checkpoint_file: The encoder's start, read only if `train_dir`
        has no checkpoint; see `encoder_weights`. Random if empty.
      strategy: How to distribute steps; on one device if None.
      objective: What to train for; see `training.Trainer`.
    """
    self._config = training_config
    self._train_dir = train_dir
    if not tf.io.gfile.isdir(train_dir):
      logging.info("Creating training directory: %s", train_dir)
      tf.io.gfile.makedirs(train_dir)
    checkpoint = checkpoints.find_latest(train_dir)
    self.trainer = training.Trainer(
        model_config,
        training_config,
        train_inception=train_inception,
        strategy=strategy,
        objective=objective,
    )
    if checkpoint:
      self._resume(checkpoint)
    elif inception_checkpoint_file:
      encoder_weights.restore(
          self.trainer.model.encoder, inception_checkpoint_file
      )
      self.trainer.averages.restart(self.trainer.averages.variables_by_name)
    checkpoints.save_config(train_dir, model_config, training_config)
    self._saver = checkpoint_saver.Saver(
        self.trainer.checkpoint_variables(),
        train_dir,
        max_to_keep=training_config.max_checkpoints_to_keep,
    )
    if not checkpoint:
      self._saver.save(0)
    self._saved_step = self.trainer.global_step

  def run(
      self,
      data: caption_data.CaptionData,
      *,
      number_of_steps: int,
      log_every_n_steps: int = 1,
  ) -> stop_signals.StopRequest:
    """Trains until the global step is `number_of_steps`, or it is to stop.

    A signal tells so, or a file that evaluation writes; see `best_checkpoint`.

    Args:
      data: What to train on.
      number_of_steps: The global step to reach, earlier runs' included.
      log_every_n_steps: How often to log the loss.

    Returns:
      The request that ended the run early, if one did.

    Raises:
      DivergedError: If the loss or its gradient is not finite. No checkpoint
        is written then.
      ValueError: If the input can't be used; the message says which file.
    """
    writer = training_summaries.SummaryWriter(
        self._train_dir, self.trainer.model
    )
    with stop_signals.catch() as request:
      step = self.trainer.global_step
      if step < number_of_steps:
        if data.are_features:
          feature_metadata.check_encoder(
              data.files, self.trainer.model.encoder, data.config
          )
        writer.write_first_image(data, step=step)
        text = configuration.to_markdown(data.config, self._config)
        writer.write_text("config", text, step=step)
        step = self._train(
            data, number_of_steps, log_every_n_steps, writer, request
        )
      logging.info("Stopping Training.")
      if step >= number_of_steps:
        logging.info("Finished training! Saving model to disk.")
      self._save(step)
    writer.close()
    return request

  def _train(self, data, number_of_steps, log_every_n_steps, writer, request):
    """Steps until `number_of_steps` or `request`; returns the global step."""
    step = self.trainer.global_step
    pace = _Pace(step)
    checkpoint_timer = _Timer(self._config.save_checkpoint_secs)
    summary_timer = _Timer(self._config.save_summaries_secs, due_at_once=True)
    batches = iter(
        self.trainer.strategy.experimental_distribute_dataset(
            data.training_batches(
                seed=self._config.seed,
                start_step=step,
                feature_size=self.trainer.model.encoder.feature_size,
            )
        )
    )
    run_step = self.trainer.step_function(batches.element_spec)
    stop_timer = _Timer(_STOP_LOOK_SECS, due_at_once=True)
    while step < number_of_steps and not request.signal:
      if stop_timer.is_due() and self._is_told_to_stop():
        break
      start = time.monotonic()
      batch = self._next_batch(batches, data, step)
      metrics = self._step(run_step, batch, data)
      step += 1
      loss = self._check_finite(metrics, step)
      if step % log_every_n_steps == 0:
        logging.info(
            "global step %d: loss = %.4f%s (%.3f sec/step)",
            step,
            loss,
            _measures_text(metrics),
            time.monotonic() - start,
        )
      pace.log(step, number_of_steps)
      if checkpoint_timer.is_due():
        self._save(step)
      if summary_timer.is_due():
        self._summarize(writer, batch, metrics, pace, step)
    return step

  def _is_told_to_stop(self) -> bool:
    reason = best_checkpoint.stop_reason(self._train_dir)
    if reason:
      logging.info("%s", reason)
    return bool(reason)

  def _next_batch(self, batches, data, step: int) -> inputs.Batch:
    try:
      return next(batches)
    except StopIteration:
      raise ValueError("The input holds no caption.") from None
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
      raise data.explain(
          error, seed=self._config.seed, start_step=step
      ) from error

  def _step(self, run_step, batch, data) -> training.StepMetrics:
    try:
      return run_step(batch)
    except tf.errors.InvalidArgumentError as error:
      raise data.explain(error, batch=batch) from error

  def _check_finite(self, metrics: training.StepMetrics, step: int) -> float:
    loss, norm = float(metrics.total_loss), float(metrics.gradient_norm)
    if not math.isfinite(loss + norm):
      raise DivergedError(
          f"Training diverged at global step {step}: the loss is {loss}, the"
          f" norm of its gradient {norm}. The last good checkpoint, of step"
          f" {self._saved_step}, is in {self._train_dir}. Go on from there with"
          " a lower learning rate."
      )
    return loss

  def _summarize(self, writer, batch, metrics, pace, step: int) -> None:
    logging.info("Recording summary at step %d.", step)
    writer.write_metrics(
        metrics, steps_per_second=pace.steps_per_second, step=step
    )
    local = tf.nest.map_structure(
        lambda t: self.trainer.strategy.experimental_local_results(t)[0], batch
    )
    writer.write_batch(local, step=step)
    writer.write_parameters(step=step)

  def _resume(self, checkpoint: str) -> None:
    """Restores all variables; the optimizer may be another one than before."""
    logging.info("Restoring parameters from %s", checkpoint)
    missing = checkpoints.restore(
        self.trainer.checkpoint_variables(),
        checkpoint,
        optional=self.trainer.dispensable_variables(),
    )
    self.trainer.averages.restart(missing)
    anew = set(missing).intersection(self.trainer.slots)
    if anew:
      logging.info("%d variables of the optimizer start anew.", len(anew))

  def _save(self, step: int) -> None:
    if step != self._saved_step:
      self._saver.save(step)
      self._saved_step = step


def _measures_text(metrics: training.StepMetrics) -> str:
  """Those of the objective, as in ", reward = 0.5123"."""
  return "".join(
      f", {os.path.basename(tag)} = {float(value):.4f}"
      for tag, value in metrics.measures.items()
  )


class _Timer:
  """Tells when an interval is over, and starts the next."""

  def __init__(self, seconds: float, *, due_at_once: bool = False):
    self._seconds = seconds
    self._next = time.monotonic() + (0 if due_at_once else seconds)

  def is_due(self) -> bool:
    if time.monotonic() < self._next:
      return False
    self._next = time.monotonic() + self._seconds
    return True


class _Pace:
  """Measures and logs the speed of a run."""

  def __init__(self, step: int):
    self._since = time.monotonic()
    self._step = step
    self.steps_per_second = 0.0

  def log(self, step: int, number_of_steps: int) -> None:
    """Logs the speed since the last log, if that is long enough ago."""
    seconds = time.monotonic() - self._since
    if seconds < _RATE_LOG_SECS:
      return
    self.steps_per_second = (step - self._step) / seconds
    left = round((number_of_steps - step) / self.steps_per_second)
    logging.info(
        "global_step/sec: %.4g (%d:%02d:%02d left)",
        self.steps_per_second,
        left // 3600,
        left // 60 % 60,
        left % 60,
    )
    self._since, self._step = time.monotonic(), step
