"""Keeps the best checkpoint of a run and requests that training stops.

    train_dir/best/model.ckpt-N.{index,data-00000-of-00001}
                   checkpoint, config.json   as in every folder of a model
                   best.json                 the best checkpoint and all scores
    train_dir/stop.json                      the reason why training should stop

A checkpoint is copied before it is evaluated, because training may delete it
meanwhile. best.json is authoritative: it is written once all files that it
names exist, and other files are removed at the next start. So a kill at any
moment leaves either the previous best checkpoint or the new one.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import json
import math
import os
from typing import Any
from typing import NamedTuple

from absl import logging
import tensorflow as tf

from im2txt.checkpointing import checkpoint_paths
from im2txt.runtime import atomic_files
from im2txt.runtime import cloud_file

# Metrics to choose by, with whether lower is better.
METRICS = {"perplexity": True, "CIDEr": False}

_BEST_FILE = "best.json"
_STOP_FILE = "stop.json"
_CONFIG_FILE = "config.json"
_CANDIDATE = "candidate"


class Best(NamedTuple):
  """The content of best.json.

  Attributes:
    metric: One of `METRICS`.
    checkpoint: Name of the best checkpoint; empty before the first one.
    step: Global step of the best checkpoint.
    value: Score of the best checkpoint.
    evaluations: Pairs (global step, score) of all evaluations, by step.
  """

  metric: str
  checkpoint: str = ""
  step: int = -1
  value: float | None = None
  evaluations: Sequence[tuple[int, float]] = ()

  @property
  def num_without_gain(self) -> int:
    """Number of evaluations since the best checkpoint."""
    return sum(step > self.step for step, _ in self.evaluations)


class BestCheckpoint:
  """The best checkpoint of a run, in a folder of its own.

  Attributes:
    best: The best checkpoint of this and earlier runs of the program.
  """

  def __init__(self, folder: str, metric: str):
    """Resumes from the content of the folder.

    Args:
      folder: The folder, which is created if it is missing.
      metric: One of `METRICS`.

    Raises:
      ValueError: If the best checkpoint of the folder was chosen by another
        metric, or its best.json is not valid.
    """
    self._folder = folder
    tf.io.gfile.makedirs(folder)
    self.best = _read(os.path.join(folder, _BEST_FILE)) or Best(metric)
    if self.best.metric != metric:
      raise ValueError(
          f"{folder} keeps the best checkpoint by {self.best.metric}, not by"
          f" {metric}. Choose another --best_dir."
      )
    self._remove_others()

  def hold(self, checkpoint: str) -> None:
    """Copies a checkpoint that is about to be evaluated.

    Args:
      checkpoint: The path of the checkpoint, without suffix.

    Raises:
      FileNotFoundError: If the checkpoint no longer exists.
    """
    candidate = os.path.join(self._folder, _CANDIDATE)
    if tf.io.gfile.exists(candidate):
      tf.io.gfile.rmtree(candidate)
    tf.io.gfile.makedirs(candidate)
    folder, name = os.path.split(checkpoint)
    with atomic_files.errors_name(os.path.join(self._folder, name)):
      try:
        for file in tf.io.gfile.listdir(folder):
          if _is_of(file, name) or file == _CONFIG_FILE:
            tf.io.gfile.copy(
                os.path.join(folder, file), os.path.join(candidate, file)
            )
      except tf.errors.NotFoundError as error:
        raise FileNotFoundError(
            f"{checkpoint} was deleted before it could be copied."
        ) from error
    if not checkpoint_paths.exists(os.path.join(candidate, name)):
      raise FileNotFoundError(
          f"{checkpoint} was deleted before it could be copied."
      )

  def offer(self, checkpoint: str, *, step: int, value: float) -> bool:
    """Keeps the checkpoint that `hold` copied if it is the best so far.

    Args:
      checkpoint: The path that was passed to `hold`.
      step: Global step of the checkpoint.
      value: Score of the checkpoint. NaN is never better.

    Returns:
      Whether the checkpoint is the best so far.
    """
    best = self.best
    evaluations = {**dict(best.evaluations), step: value}
    best = best._replace(evaluations=sorted(evaluations.items()))
    is_better = _is_better(value, best)
    if is_better:
      name = os.path.basename(checkpoint)
      self._take_candidate()
      best = best._replace(checkpoint=name, step=step, value=value)
    _write_json(os.path.join(self._folder, _BEST_FILE), best._asdict())
    self.best = best
    self._remove_others()
    if is_better:
      logging.info("Best %s so far: kept in %s", best.metric, self._folder)
    else:
      logging.info(
          "No gain in %s. The best is %f, at step %d; evaluations since: %d.",
          best.metric,
          math.nan if best.value is None else best.value,
          best.step,
          best.num_without_gain,
      )
    return is_better

  def _take_candidate(self) -> None:
    """Moves the copied files, replacing those of the same checkpoint."""
    candidate = os.path.join(self._folder, _CANDIDATE)
    for name in tf.io.gfile.listdir(candidate):
      tf.io.gfile.rename(
          os.path.join(candidate, name),
          os.path.join(self._folder, name),
          overwrite=True,
      )

  def _remove_others(self) -> None:
    """Removes all checkpoints but the best and writes the index file."""
    name = self.best.checkpoint
    for file in tf.io.gfile.listdir(self._folder):
      path = os.path.join(self._folder, file.rstrip("/"))
      if os.path.basename(path) == _CANDIDATE:
        tf.io.gfile.rmtree(path)
      elif ".ckpt-" in file and not _is_of(file, name):
        tf.io.gfile.remove(path)
    if name:
      quoted = json.dumps(name)
      state = (
          f"model_checkpoint_path: {quoted}\n"
          f"all_model_checkpoint_paths: {quoted}\n"
      )
      cloud_file.write(state.encode(), os.path.join(self._folder, "checkpoint"))


def request_stop(train_dir: str, reason: str) -> None:
  """Requests that a training run stops.

  Args:
    train_dir: The folder of the run.
    reason: The reason, a sentence.
  """
  _write_json(os.path.join(train_dir, _STOP_FILE), {"reason": reason})


def stop_reason(train_dir: str) -> str | None:
  """Returns why a training run should stop.

  Args:
    train_dir: The folder of the run.

  Returns:
    The reason and how to resume, as sentences; None if the run should not stop.
  """
  path = os.path.join(train_dir, _STOP_FILE)
  if not tf.io.gfile.exists(path):
    return None
  with tf.io.gfile.GFile(path) as file:
    content = file.read()
  try:
    reason = json.loads(content)["reason"]
  except (ValueError, TypeError, KeyError):
    reason = "A stop was requested."
  return f"{reason} To resume, remove {path}."


def _is_better(value: float, best: Best) -> bool:
  if best.value is None:
    return not math.isnan(value)
  return value < best.value if METRICS[best.metric] else value > best.value


def _read(path: str) -> Best | None:
  if not tf.io.gfile.exists(path):
    return None
  with tf.io.gfile.GFile(path) as file:
    text = file.read()
  try:
    content = json.loads(text)
    return Best(**content)._replace(
        evaluations=[(s, v) for s, v in content["evaluations"]]
    )
  except (ValueError, TypeError, KeyError) as error:
    raise ValueError(
        f"{path} is not valid: {error}. Remove it, or choose another"
        " --best_dir."
    ) from None


def _is_of(file: str, checkpoint: str) -> bool:
  """Returns whether a file belongs to a checkpoint, by their names."""
  return file == checkpoint or (
      file.startswith(f"{checkpoint}.") and ".tempstate" not in file
  )


def _write_json(path: str, content: Mapping[str, Any]) -> None:
  cloud_file.write((json.dumps(content, indent=2) + "\n").encode(), path)
