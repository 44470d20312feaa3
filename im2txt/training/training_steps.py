"""Runs the steps of a run in order, on local devices or on remote workers.

SynchronousSteps    batch -> all replicas -> metrics
AsynchronousSteps   batch -> the next free worker -> metrics, later
"""

import collections
import queue
import threading
from typing import Any

import tensorflow as tf

from im2txt.data import caption_data
from im2txt.distributed import distribution as distribution_lib
from im2txt.ops import inputs
from im2txt.training import trainers

# One that is being copied while another waits for the step.
_BATCHES_AHEAD = 2


class Steps:
  """The steps of a run from the trainer's global step on."""

  def __init__(
      self,
      trainer: trainers.Trainer,
      data: caption_data.CaptionData,
      *,
      distribution: distribution_lib.Distribution,
      seed: int,
  ):
    """Starts to read the data.

    Args:
      trainer: The trainer.
      data: The training data.
      distribution: The devices and processes.
      seed: Seed for the order of the data.
    """
    self._trainer = trainer
    self._data = data
    self._distribution = distribution
    self._seed = seed
    self._next_step = trainer.global_step
    self._batches = iter(self._dataset())
    self._run_step = trainer.step_function(self._batches.element_spec)

  def run(self, remaining: int) -> tuple[inputs.Batch, trainers.StepMetrics]:
    """Runs a step.

    Args:
      remaining: Number of steps until the end of the run, including this one.

    Returns:
      This process' part of the batch, and the metrics of the step.

    Raises:
      tf.errors.OpError: If another process is lost.
      ValueError: If the input is not valid; the message names the file.
    """
    raise NotImplementedError

  def wait_for_pending_steps(self) -> None:
    """Waits until no step is pending, so that variables can be read."""

  def _dataset(self) -> Any:
    raise NotImplementedError

  def _own_batches(self) -> tf.data.Dataset:
    return self._data.training_batches(
        seed=self._seed,
        start_step=self._next_step,
        feature_size=self._trainer.model.encoder.feature_size,
    )

  def _next_batch(self) -> Any:
    try:
      batch = next(self._batches)
    except StopIteration:
      raise ValueError("The input holds no caption.") from None
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
      raise self._data.explain(
          error, seed=self._seed, start_step=self._next_step
      ) from error
    self._next_step += 1
    return batch


class SynchronousSteps(Steps):
  """Steps in which all replicas take part."""

  def run(self, remaining: int) -> tuple[inputs.Batch, trainers.StepMetrics]:
    """See `Steps.run`."""
    del remaining
    strategy = self._distribution.strategy
    batch = self._next_batch()
    own_batch = tf.nest.map_structure(
        lambda part: distribution_lib.local(strategy, part), batch
    )
    try:
      return own_batch, self._run_step(batch)
    except tf.errors.InvalidArgumentError as error:
      raise self._data.explain(error, batch=own_batch) from error

  def _dataset(self) -> Any:
    if self._distribution.kind == "off":
      return _on_device(self._own_batches())
    # Distributed iterators prefetch to their devices by themselves.
    return self._distribution.strategy.distribute_datasets_from_function(
        lambda context: self._own_batches()
    )


class AsynchronousSteps(Steps):
  """Steps that run on remote workers, with variables on parameter servers.

  This process reads the batches, so that their order is the same as in any run.
  """

  def __init__(self, *args: Any, **kwargs: Any):
    """See `Steps`."""
    super().__init__(*args, **kwargs)
    self._coordinator = tf.distribute.coordinator.ClusterCoordinator(
        self._distribution.strategy
    )
    self._pending_batches: collections.deque[inputs.Batch] = collections.deque()
    self._results: collections.deque[Any] = collections.deque()
    self._scheduled: queue.Queue[Any] = queue.Queue()
    self._fetched: queue.Queue[Any] = queue.Queue()
    # In a thread, because TensorFlow waits forever for a lost worker.
    threading.Thread(target=self._fetch, daemon=True).start()

  def run(self, remaining: int) -> tuple[inputs.Batch, trainers.StepMetrics]:
    """See `Steps.run`."""
    width = min(remaining, self._distribution.num_workers)
    while len(self._pending_batches) < width:
      batch = self._next_batch()
      self._pending_batches.append(batch)
      self._scheduled.put(
          self._coordinator.schedule(self._run_step, args=(batch,))
      )
    if not self._results:
      self._wait()
    batch = self._pending_batches.popleft()
    result = self._results.popleft()
    if isinstance(result, tf.errors.InvalidArgumentError):
      raise self._data.explain(result, batch=batch) from result
    if isinstance(result, Exception):
      raise result
    return batch, result

  def wait_for_pending_steps(self) -> None:
    """See `Steps.wait_for_pending_steps`."""
    while len(self._results) < len(self._pending_batches):
      self._wait()

  def _dataset(self) -> Any:
    return self._own_batches()

  def _wait(self) -> None:
    """Waits for the oldest pending step."""
    timeout_secs = self._distribution.timeout_secs
    try:
      self._results.append(self._fetched.get(timeout=timeout_secs))
    except queue.Empty:
      raise tf.errors.DeadlineExceededError(
          None, None, f"No worker finished a step within {timeout_secs:g} s."
      ) from None

  def _fetch(self) -> None:
    while True:
      try:
        self._fetched.put(self._scheduled.get().fetch())
      except Exception as error:  # `run` raises it again.
        self._fetched.put(error)


def _on_device(batches: tf.data.Dataset) -> tf.data.Dataset:
  """Returns the batches, copied to the GPU, if any, ahead of the step."""
  gpus = tf.config.list_logical_devices("GPU")
  if not gpus:
    return batches
  return batches.apply(
      tf.data.experimental.prefetch_to_device(gpus[0].name, _BATCHES_AHEAD)
  )


def make_steps(
    trainer: trainers.Trainer,
    data: caption_data.CaptionData,
    *,
    distribution: distribution_lib.Distribution,
    seed: int,
) -> Steps:
  """Returns the steps of a run for its distribution; see `Steps`."""
  kind = SynchronousSteps if distribution.is_synchronous else AsynchronousSteps
  return kind(trainer, data, distribution=distribution, seed=seed)
