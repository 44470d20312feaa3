"""Keeps the best checkpoint of a run, and tells training when to stop.

    train_dir/best/model.ckpt-N.{index,data-00000-of-00001}
                   checkpoint, config.json   a model's folder like any other
                   best.json                 which one it is, and all scores
    train_dir/stop.json                      why training should stop

A checkpoint is copied before it is evaluated, as training may delete it in the
meantime. best.json is what counts: it is written when everything that it names
is there, and what it doesn't name is removed at the next start. So a kill at
any moment leaves the best one so far, or the better one in its place.
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

# By what is kept, whether less of it is better.
METRICS = {"perplexity": True, "CIDEr": False}

_BEST_FILE = "best.json"
_STOP_FILE = "stop.json"
_CONFIG_FILE = "config.json"
_CANDIDATE = "candidate"


class Best(NamedTuple):
  """What best.json says.

  Attributes:
    metric: One of `METRICS`.
    checkpoint: The name of the best checkpoint; empty before the first one.
    step: Its global step.
    value: Its score.
    evaluations: The step and score of each evaluation, in that order.
  """

  metric: str
  checkpoint: str = ""
  step: int = -1
  value: float | None = None
  evaluations: Sequence[tuple[int, float]] = ()

  @property
  def num_without_gain(self) -> int:
    """How many later checkpoints were no better than the best one."""
    return sum(step > self.step for step, _ in self.evaluations)


class BestCheckpoint:
  """The best checkpoint of a run, in a folder of its own.

  Attributes:
    best: What is known of it, by this run of the program and those before.
  """

  def __init__(self, folder: str, metric: str):
    """Goes on with what the folder holds.

    Args:
      folder: The folder; made if missing.
      metric: One of `METRICS`.

    Raises:
      ValueError: If the folder holds the best by another metric, or its
        best.json can't be read.
    """
    self._folder = folder
    tf.io.gfile.makedirs(folder)
    self.best = _read(os.path.join(folder, _BEST_FILE)) or Best(metric)
    if self.best.metric != metric:
      raise ValueError(
          f"{folder} keeps the best checkpoint by {self.best.metric}, not by"
          f" {metric}. Give another --best_dir."
      )
    self._remove_others()

  def hold(self, checkpoint: str) -> None:
    """Copies a checkpoint that is about to be evaluated.

    Args:
      checkpoint: The checkpoint's path, without suffix.

    Raises:
      FileNotFoundError: If it is no longer there.
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
            f"{checkpoint} was deleted meanwhile."
        ) from error
    if not checkpoint_paths.exists(os.path.join(candidate, name)):
      raise FileNotFoundError(f"{checkpoint} was deleted meanwhile.")

  def offer(self, checkpoint: str, *, step: int, value: float) -> bool:
    """Keeps the checkpoint that was held if it is better than the best.

    Args:
      checkpoint: The path that `hold` was called with.
      step: The checkpoint's global step.
      value: Its score. NaN is never better.

    Returns:
      Whether it was better.
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
          "No gain in %s. The best is %f, of step %d; evaluations since: %d.",
          best.metric,
          math.nan if best.value is None else best.value,
          best.step,
          best.num_without_gain,
      )
    return is_better

  def _take_candidate(self) -> None:
    """Moves the files; the same checkpoint's files may be there already."""
    candidate = os.path.join(self._folder, _CANDIDATE)
    for name in tf.io.gfile.listdir(candidate):
      tf.io.gfile.rename(
          os.path.join(candidate, name),
          os.path.join(self._folder, name),
          overwrite=True,
      )

  def _remove_others(self) -> None:
    """Makes the folder hold what `best` says."""
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
  """Tells a training run to stop.

  Args:
    train_dir: Its folder.
    reason: A sentence that tells why.
  """
  _write_json(os.path.join(train_dir, _STOP_FILE), {"reason": reason})


def stop_reason(train_dir: str) -> str | None:
  """Why a training run should stop; None if it should not.

  Args:
    train_dir: Its folder.

  Returns:
    The sentence, with what to do to continue.
  """
  path = os.path.join(train_dir, _STOP_FILE)
  if not tf.io.gfile.exists(path):
    return None
  with tf.io.gfile.GFile(path) as file:
    content = file.read()
  try:
    reason = json.loads(content)["reason"]
  except (ValueError, TypeError, KeyError):
    reason = "It was told to stop."
  return f"{reason} To go on, remove {path}."


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
        f"{path} can't be used: {error}. Remove it, or give another --best_dir."
    ) from None


def _is_of(file: str, checkpoint: str) -> bool:
  """Returns whether a file name is that of a file of a checkpoint."""
  return file == checkpoint or (
      file.startswith(f"{checkpoint}.") and ".tempstate" not in file
  )


def _write_json(path: str, content: Mapping[str, Any]) -> None:
  cloud_file.write((json.dumps(content, indent=2) + "\n").encode(), path)
