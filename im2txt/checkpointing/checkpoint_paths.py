"""Which checkpoint a user means: paths, folders, patterns.

A model's folder holds `model.ckpt-N.{index,data-00000-of-00001}` and the index
file `checkpoint`; a checkpoint's path is the one without suffix.
"""

import os
import re

from absl import logging
import tensorflow as tf

_WILDCARDS = frozenset("*?[")
_INDEX_FILE = "checkpoint"
_FILE_SUFFIXES = (".index", ".meta", ".data-00000-of-00001")
# A checkpoint by its index or, if it is of 2016's format, its only file.
_NUMBERED_CHECKPOINT = re.compile(r"(.+\.ckpt-(\d+))(\.index)?")


def find(path: str) -> str:
  """The checkpoint at a path that a user gave.

  Args:
    path: A checkpoint (`.../model.ckpt-2000000`, or one of its files), or a
      folder or its index file, whose newest checkpoint is taken; see
      `find_latest`.

  Returns:
    The checkpoint's path, without suffix.

  Raises:
    FileNotFoundError: If there is none.
  """
  folder, name = os.path.split(path)
  if name == _INDEX_FILE and not tf.io.gfile.isdir(path):
    path = folder or "."
  if tf.io.gfile.isdir(path):
    checkpoint = find_latest(path)
    if checkpoint is None:
      inner = ", ".join(_folders_with_checkpoints(path))
      hint = f"; but there is one in {inner}" if inner else ""
      raise FileNotFoundError(f"No checkpoint found in folder: {path}{hint}")
    return checkpoint
  for suffix in ("", *_FILE_SUFFIXES):
    prefix = path.removesuffix(suffix)
    if exists(prefix):
      return prefix
  raise FileNotFoundError(f"No checkpoint found at: {path}")


def find_all(patterns: str) -> dict[str, str]:
  """The checkpoints that a user lists.

  Args:
    patterns: Separated by commas: what `find` takes, or patterns of
      checkpoints, such as "train/model.ckpt-*", taken in the order of their
      steps.

  Returns:
    By name, the checkpoints' paths without suffix, each once, in that order.
    Names are without folders where this tells them apart.

  Raises:
    FileNotFoundError: If there is none to one of the patterns.
  """
  paths: dict[str, None] = {}
  for pattern in filter(None, map(str.strip, patterns.split(","))):
    if not _WILDCARDS.intersection(pattern):
      paths[find(pattern)] = None
      continue
    files = tf.io.gfile.glob(f"{pattern}*")
    matches = filter(None, map(_NUMBERED_CHECKPOINT.fullmatch, files))
    found = sorted({(int(match[2]), match[1]) for match in matches})
    if not found:
      raise FileNotFoundError(f"No checkpoint matches the pattern: {pattern}")
    paths |= dict.fromkeys(path for _, path in found)
  names = [os.path.basename(path) for path in paths]
  is_unique = len(set(names)) == len(names)
  return dict(zip(names if is_unique else paths, paths, strict=True))


def find_latest(folder: str) -> str | None:
  """The newest checkpoint of a folder, as its file `checkpoint` says.

  Args:
    folder: A folder, which may have been moved since the checkpoint was
      written, or not exist. If there is no file `checkpoint` in it, as in many
      a download, the checkpoint of the highest step in a name is taken.

  Returns:
    The checkpoint's path, without suffix; None if the folder has no checkpoint.

  Raises:
    FileNotFoundError: If the `checkpoint` file names checkpoints of which none
      is there.
  """
  return next(iter(find_listed(folder)), None)


def find_listed(folder: str) -> list[str]:
  """Like `find_latest`, all that are there, the newest first."""
  try:
    state = tf.train.get_checkpoint_state(folder)
  except ValueError:
    state = None  # An empty file.
  if state is None:
    return _find_by_name(folder)
  named = [
      state.model_checkpoint_path,
      *reversed(state.all_model_checkpoint_paths),
  ]
  moved = [os.path.join(folder, os.path.basename(path)) for path in named]
  paths = [p if exists(p) else m for p, m in zip(named, moved, strict=True)]
  found = list(dict.fromkeys(filter(exists, paths)))
  if not found:
    raise FileNotFoundError(
        f"The file {os.path.join(folder, _INDEX_FILE)} names {named[0]}, but"
        " no such checkpoint is there."
    )
  return found


def _find_by_name(folder: str) -> list[str]:
  if not tf.io.gfile.isdir(folder):
    return []
  names = map(_NUMBERED_CHECKPOINT.fullmatch, tf.io.gfile.listdir(folder))
  steps = {os.path.join(folder, n[1]): int(n[2]) for n in names if n}
  paths = sorted(steps, key=steps.__getitem__, reverse=True)
  if paths:
    logging.info("No file `checkpoint` in %s: taking %s", folder, paths[0])
  return paths


def _folders_with_checkpoints(parent: str) -> list[str]:
  paths = [os.path.join(parent, f) for f in sorted(tf.io.gfile.listdir(parent))]
  return [
      path
      for path in filter(tf.io.gfile.isdir, paths)
      if any(map(_NUMBERED_CHECKPOINT.fullmatch, tf.io.gfile.listdir(path)))
  ]


def exists(prefix: str) -> bool:
  """Whether there is a checkpoint of today's format, or of 2016's one file."""
  return tf.io.gfile.exists(prefix + ".index") or (
      tf.io.gfile.exists(prefix)
      and not tf.io.gfile.isdir(prefix)
      and not prefix.endswith(_FILE_SUFFIXES)
  )
