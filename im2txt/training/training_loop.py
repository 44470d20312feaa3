"""Runs the training loop: logs, checkpoints, summaries, stops, resumption."""

from collections.abc import Iterator
import contextlib
import dataclasses
import math
import time

from absl import logging
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import best_checkpoint
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import encoder_weights
from im2txt.checkpointing import saved_config
from im2txt.data import caption_data
from im2txt.data import feature_cache
from im2txt.distributed import distribution as distribution_lib
from im2txt.runtime import stop_signals
from im2txt.training import trainers
from im2txt.training import training_steps
from im2txt.training import training_summaries

# Often enough to see the progress of a run and when it will end.
_RATE_LOG_SECS = 10.0


# How often to check whether evaluation requests a stop.
_STOP_CHECK_SECS = 10.0


class Timer:
  """A timer of repeated intervals."""

  def __init__(self, seconds: float, *, due_at_once: bool = False):
    self._seconds = seconds
    self._next = time.monotonic() + (0 if due_at_once else seconds)

  def is_due(self) -> bool:
    """Returns whether the interval is over; if so, starts the next one."""
    if time.monotonic() < self._next:
      return False
    self._next = time.monotonic() + self._seconds
    return True


class Pace:
  """The speed of a run, for the log."""

  def __init__(self, step: int):
    self._since = time.monotonic()
    self._step = step
    self.steps_per_second = 0.0

  def log(self, step: int, number_of_steps: int) -> None:
    """Logs the speed since the last call that logged, every ten seconds."""
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


class DivergedError(ValueError):
  """An error because the loss or its gradient is not a finite number."""


class LostWorkerError(ValueError):
  """An error because another process of the run ended or can't be reached."""


class TrainingLoop:
  """A training run in a folder, new or resumed from a checkpoint.

  Attributes:
    trainer: The `trainers.Trainer`, with restored variables.
    checkpoint: The path of the newest checkpoint, without suffix; None before
      the first one of a new run is written.
  """

  def __init__(
      self,
      *,
      model_config: configuration.ModelConfig,
      training_config: configuration.TrainingConfig,
      train_dir: str,
      checkpoint: str | None = None,
      options: trainers.StepOptions = trainers.DEFAULT_OPTIONS,
      inception_checkpoint_file: str = "",
      distribution: distribution_lib.Distribution | None = None,
  ):
    """Builds the model and restores or initializes its variables.

    Args:
      model_config: The model's configuration.
      training_config: The training configuration.
      train_dir: Folder for checkpoints, the configuration and summaries;
        created if missing.
      checkpoint: The newest checkpoint of `train_dir`, without suffix; see
        `checkpoints.find_readable`. None for a new run.
      options: Further options of the training step.
      inception_checkpoint_file: Initial weights of the encoder in a new run;
        see `encoder_weights`. Random if empty.
      distribution: The devices and processes; one device if None.

    Raises:
      ValueError: If the devices can't share a batch evenly, or a file does not
        fit the configuration.
    """
    self._model_config = model_config
    self._config = training_config
    self._train_dir = train_dir
    distribution = distribution or distribution_lib.Distribution()
    distribution_lib.check_batch_size(model_config.batch_size, distribution)
    self._distribution = distribution
    strategy = distribution.strategy
    if distribution.is_chief and not tf.io.gfile.isdir(train_dir):
      logging.info("Creating training directory: %s", train_dir)
      tf.io.gfile.makedirs(train_dir)
    self.checkpoint = checkpoint
    self.trainer = trainers.Trainer(
        model_config, training_config, options, strategy=strategy
    )
    if checkpoint:
      self._resume(checkpoint, inception_checkpoint_file)
    elif inception_checkpoint_file:
      self._start_encoder(inception_checkpoint_file)
    variables = self.trainer.checkpoint_variables()
    self._average = distribution_lib.averaging(strategy, variables.values())
    self._saver = None
    if distribution.is_chief:
      self._saver = checkpoints.Saver(
          distribution_lib.local_variables(strategy, variables),
          train_dir,
          max_to_keep=training_config.max_checkpoints_to_keep,
      )
    self._saved_step = self.trainer.global_step if checkpoint else None
    self._is_new = checkpoint is None
    self._had_config = saved_config.exists(train_dir)

  def run(
      self,
      data: caption_data.CaptionData,
      *,
      number_of_steps: int,
      log_every_n_steps: int = 1,
  ) -> stop_signals.StopRequest:
    """Trains until the global step is `number_of_steps` or a stop is requested.

    A signal requests a stop, or a file that evaluation writes; see
    `best_checkpoint`.

    Args:
      data: The training data.
      number_of_steps: The global step to reach, which counts the steps of
        earlier runs.
      log_every_n_steps: Number of steps between two log lines.

    Returns:
      The request to stop, with the signal that ended the run early, if any.

    Raises:
      DivergedError: If the loss or its gradient is not finite. No checkpoint
        is written in this case.
      LostWorkerError: If another process of the run is lost.
      ValueError: If the input is not valid; the message names the file.
    """
    with stop_signals.catch() as request:
      try:
        self._run(data, number_of_steps, log_every_n_steps, request)
      except self._distribution.lost_errors as error:
        logging.debug("%s", error)
        raise LostWorkerError(
            "Another process of the run is lost; its last log lines may say"
            f" why. Start all processes again to resume from {self._train_dir}."
        ) from error
    return request

  def _run(self, data, number_of_steps, log_every_n_steps, request) -> None:
    step = self.trainer.global_step
    if step < number_of_steps:
      data.check_captions()
      self._check(data)
      with self._make_writer() as writer:
        if writer:
          writer.write_first_image(data, step=step)
        # Not before the input was read: invalid input must leave no files.
        self._save()
        with self._removed_if_invalid():
          self._train(data, number_of_steps, log_every_n_steps, writer, request)
    else:
      logging.info(
          "Nothing to train: the run has already reached global step %d, and"
          " --number_of_steps is %d. To train further, increase it.",
          step,
          number_of_steps,
      )
    logging.info("Stopping Training.")
    if self.trainer.global_step >= number_of_steps:
      logging.info("Finished training! Saving model to disk.")
    self._save()
    self._distribution.any_process(request)  # Waits for the chief's files.

  @contextlib.contextmanager
  def _removed_if_invalid(self) -> Iterator[None]:
    """Removes the files of a new run if its input turns out to be invalid.

    Its saved configuration would contradict the corrected command.
    """
    try:
      yield
    except (DivergedError, LostWorkerError):
      raise
    except ValueError:
      if self._is_new and self._saved_step == 0 and self._saver:
        self._saver.remove_all()
        if not self._had_config:
          saved_config.remove(self._train_dir)
      raise

  def _check(self, data: caption_data.CaptionData) -> None:
    if data.are_features:
      with self._distribution.strategy.scope():
        feature_cache.check_encoder(
            data.files, self.trainer.model.encoder, data.config
        )
    elif not self._distribution.is_synchronous:
      raise ValueError(
          "With parameter servers the chief reads all input, which is too slow"
          " for images. Use --input_feature_pattern or"
          " --distribution=multi_worker."
      )

  @contextlib.contextmanager
  def _make_writer(
      self,
  ) -> Iterator[training_summaries.SummaryWriter | None]:
    """Opens the chief's summary writer; the other processes write nothing."""
    if not self._distribution.is_chief:
      yield None
      return
    with self._distribution.strategy.scope():
      writer = training_summaries.SummaryWriter(
          self._train_dir, self.trainer.model
      )
    with contextlib.closing(writer):
      yield writer

  def _train(
      self, data, number_of_steps, log_every_n_steps, writer, request
  ) -> None:
    """Runs steps until `number_of_steps` or a request to stop."""
    is_chief = self._distribution.is_chief
    step = self.trainer.global_step
    if writer:
      text = configuration.to_markdown(data.config, self._config)
      writer.write_text("config", text, step=step)
    pace = Pace(step)
    save_steps = self._config.save_checkpoint_steps
    checkpoint_timer = Timer(self._config.save_checkpoint_secs)
    summary_timer = Timer(self._config.save_summaries_secs, due_at_once=True)
    stop_timer = Timer(_STOP_CHECK_SECS, due_at_once=True)
    steps = training_steps.make_steps(
        self.trainer,
        dataclasses.replace(data, shard=self._distribution.shard),
        distribution=self._distribution,
        seed=self._config.seed,
    )
    while step < number_of_steps:
      start = time.monotonic()
      # All processes stop and save at the same step.
      is_stop_requested, is_save_due = self._distribution.any_process(
          request,
          is_chief and stop_timer.is_due() and self._is_stop_requested(),
          is_chief and not save_steps and checkpoint_timer.is_due(),
      )
      if is_save_due or (save_steps and step % save_steps == 0):
        steps.wait_for_pending_steps()
        self._save()
      if is_stop_requested or request.signal:
        break
      batch, metrics = steps.run(number_of_steps - step)
      step += 1
      loss = self._check_finite(metrics, step)
      if step % log_every_n_steps == 0:
        logging.info(
            "global step %d: loss = %.4f%s (%.3f sec/step)",
            step,
            loss,
            metrics.measures_text(),
            time.monotonic() - start,
        )
      pace.log(step, number_of_steps)
      if writer and summary_timer.is_due():
        self._summarize(writer, batch, metrics, pace, step)
    steps.wait_for_pending_steps()

  def _is_stop_requested(self) -> bool:
    reason = best_checkpoint.stop_reason(self._train_dir)
    if reason:
      logging.info("%s", reason)
    return bool(reason)

  def _check_finite(self, metrics: trainers.StepMetrics, step: int) -> float:
    loss, norm = float(metrics.total_loss), float(metrics.gradient_norm)
    if not math.isfinite(loss + norm):
      raise DivergedError(
          f"Training diverged at global step {step}: the loss is {loss}, the"
          f" norm of its gradient {norm}. The last good checkpoint, of step"
          f" {self._saved_step}, is in {self._train_dir}. Resume from it with a"
          " lower learning rate."
      )
    return loss

  def _summarize(self, writer, batch, metrics, pace, step: int) -> None:
    logging.info("Recording summary at step %d.", step)
    writer.write_metrics(
        metrics, steps_per_second=pace.steps_per_second, step=step
    )
    writer.write_batch(batch, step=step)
    writer.write_parameters(step=step)

  def _start_encoder(self, inception_checkpoint_file: str) -> None:
    """Restores the encoder, and averages of its weights, from a file."""
    averages = self.trainer.averages
    encoder_weights.restore(
        self.trainer.model.encoder, inception_checkpoint_file
    )
    averages.restart(averages.variables_by_name)

  def _resume(self, checkpoint: str, inception_checkpoint_file: str) -> None:
    """Restores all variables; the optimizer may have changed."""
    logging.info("Restoring parameters from %s", checkpoint)
    if inception_checkpoint_file:
      logging.info(
          "The checkpoint contains the encoder; %s was used to start the run.",
          inception_checkpoint_file,
      )
    variables = self.trainer.checkpoint_variables()
    optional = self.trainer.optional_variables()
    try:
      missing = checkpoints.restore(variables, checkpoint, optional=optional)
    except ValueError as error:
      hint = "A new run needs another --train_dir."
      raise ValueError(f"{error} {hint}") from error
    self.trainer.averages.restart(missing)
    new = set(missing).intersection(self.trainer.slots)
    if new:
      self.trainer.optimizer.restart_bias_correction()
      logging.info("%d variables of the optimizer are initialized.", len(new))

  def _save(self) -> None:
    """Writes the checkpoint and configuration of this step, if missing."""
    step = self.trainer.global_step
    if step == self._saved_step:
      return
    self._average()
    if self._saver:
      saved_config.save(self._train_dir, self._model_config, self._config)
      self._saver.save(step)
    self._saved_step = step
    self.checkpoint = checkpoints.path_of_step(self._train_dir, step)
