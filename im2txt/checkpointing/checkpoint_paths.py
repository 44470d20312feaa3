"""Finds checkpoints by paths, folders and patterns.

The folder of a model has `model.ckpt-N.{index,data-00000-of-00001}` and the
index file `checkpoint`. The path of a checkpoint is the one without suffix.
"""

from collections.abc import Sequence
import os
import re

from absl import logging
import tensorflow as tf

_WILDCARDS = frozenset("*?[")
_INDEX_FILE = "checkpoint"
# The files of a checkpoint in the current format.
_FILE = re.compile(r"(.+)\.(index|meta|data-\d{5}-of-\d{5})", re.DOTALL)
_SHARD = re.compile(r"(.+)\.data-\d{5}-of-(\d{5})", re.DOTALL)
# A checkpoint by its index or, in the format of 2016, its only file.
_NUMBERED_CHECKPOINT = re.compile(r"(.+\.ckpt-(\d+))(\.index)?")


def find(path: str) -> str:
  """Returns the checkpoint at a path that a user gave.

  Args:
    path: A checkpoint (`.../model.ckpt-2000000`, or one of its files), or a
      folder or its index file for its newest checkpoint; see `find_latest`.

  Returns:
    The path of the checkpoint, without suffix.

  Raises:
    FileNotFoundError: If there is no checkpoint.
  """
  folder, name = os.path.split(path)
  if name == _INDEX_FILE and not tf.io.gfile.isdir(path):
    path = folder or "."
  if tf.io.gfile.isdir(path):
    checkpoint = find_latest(path)
    if checkpoint is None:
      raise FileNotFoundError(_describe_empty(path))
    return checkpoint
  match = _FILE.fullmatch(path)
  for prefix in filter(None, (path, match and match[1])):
    if exists(prefix):
      return prefix
    if missing := missing_files(prefix):
      raise FileNotFoundError(describe_missing(prefix, missing))
  raise FileNotFoundError(f"No checkpoint found at: {path}")


def find_all(patterns: str) -> dict[str, str]:
  """Returns the checkpoints that a user lists.

  Args:
    patterns: Paths as for `find`, or patterns such as "train/model.ckpt-*",
      separated by commas. The matches of a pattern are in the order of their
      steps.

  Returns:
    The paths of the distinct checkpoints, without suffix, by name. The names
    are those of the files if these are unique, otherwise the paths.

  Raises:
    FileNotFoundError: If no checkpoint matches one of the patterns.
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
  """Returns the newest checkpoint of a folder, by its file `checkpoint`.

  Args:
    folder: The path of a folder, which may be missing, or may have been copied
      or moved since the checkpoint was written. If it has no file `checkpoint`,
      as many downloads do not, the newest checkpoint is the one with the
      highest step in its name.

  Returns:
    The path of the checkpoint, without suffix; None if there is none.

  Raises:
    FileNotFoundError: If no checkpoint that the file `checkpoint` names exists.
  """
  return next(iter(find_listed(folder)), None)


def find_listed(folder: str) -> list[str]:
  """Returns all checkpoints that `find_latest` chooses from, newest first.

  A path in the file `checkpoint` means the checkpoint of that file name in the
  folder itself: the folder may be a copy, and the path may point to the
  original. Only if the folder has no such checkpoint, the path is used as it
  is.

  Args:
    folder: See `find_latest`.

  Returns:
    The paths of the distinct checkpoints, without suffix.

  Raises:
    FileNotFoundError: See `find_latest`.
  """
  named = _read_state(folder)
  if named is None:
    return _find_by_name(folder)
  own = [_own(folder, path) for path in named]
  paths = [o if exists(o) else p for o, p in zip(own, named, strict=True)]
  found = list(dict.fromkeys(filter(exists, paths)))
  if not found:
    missing = missing_files(own[0])
    raise FileNotFoundError(
        describe_missing(own[0], missing)
        if missing
        else f"The file {os.path.join(folder, _INDEX_FILE)} names {named[0]},"
        f" but there is no such checkpoint{_hint(folder)}"
    )
  return found


def find_own(folder: str) -> list[str]:
  """Returns the checkpoints in a folder that its file `checkpoint` lists.

  Args:
    folder: A folder.

  Returns:
    The paths of those in the folder itself, without suffix, oldest first.
  """
  own = [_own(folder, path) for path in _read_state(folder) or ()]
  return list(dict.fromkeys(filter(exists, reversed(own))))


def _read_state(folder: str) -> list[str] | None:
  """Returns the paths in the file `checkpoint`, newest first, or None."""
  try:
    state = tf.train.get_checkpoint_state(folder)
  except ValueError:
    return None  # The file is empty or damaged.
  if state is None:
    return None
  return [
      state.model_checkpoint_path,
      *reversed(state.all_model_checkpoint_paths),
  ]


def _own(folder: str, path: str) -> str:
  """Returns a path in `folder` with the file name of `path`, of any system."""
  return os.path.join(folder, re.split(r"[/\\]", path)[-1])


def _find_by_name(folder: str) -> list[str]:
  if not tf.io.gfile.isdir(folder):
    return []
  names = map(_NUMBERED_CHECKPOINT.fullmatch, tf.io.gfile.listdir(folder))
  steps = {os.path.join(folder, n[1]): int(n[2]) for n in names if n}
  paths = sorted(steps, key=steps.__getitem__, reverse=True)
  if paths:
    logging.info("No file `checkpoint` in %s: using %s", folder, paths[0])
  return paths


def _describe_empty(folder: str) -> str:
  """Returns an error text for a folder without a complete checkpoint."""
  for name in sorted(tf.io.gfile.listdir(folder)):
    if match := _SHARD.fullmatch(name):
      prefix = os.path.join(folder, match[1])
      if missing := missing_files(prefix):
        return describe_missing(prefix, missing)
  return f"No checkpoint found in folder: {folder}{_hint(folder)}"


def _hint(folder: str) -> str:
  """Returns the end of a sentence that names subfolders with checkpoints."""
  inner = ", ".join(_folders_with_checkpoints(folder))
  return f"; but there is one in {inner}" if inner else ""


def _folders_with_checkpoints(parent: str) -> list[str]:
  paths = [os.path.join(parent, f) for f in sorted(tf.io.gfile.listdir(parent))]
  return [
      path
      for path in filter(tf.io.gfile.isdir, paths)
      if any(map(_NUMBERED_CHECKPOINT.fullmatch, tf.io.gfile.listdir(path)))
  ]


def exists(prefix: str) -> bool:
  """Returns whether a checkpoint exists, in the current format or 2016's.

  Args:
    prefix: The path of the checkpoint, without suffix.

  Returns:
    Whether its index, or the single file of 2016's format, exists. A shard of
    the data may be missing.
  """
  return tf.io.gfile.exists(prefix + ".index") or (
      not _FILE.fullmatch(prefix)
      and tf.io.gfile.exists(prefix)
      and not tf.io.gfile.isdir(prefix)
  )


def missing_files(prefix: str) -> list[str]:
  """Returns the missing files of an incomplete checkpoint.

  Args:
    prefix: The path of the checkpoint, without suffix.

  Returns:
    The paths of the missing files; empty if the checkpoint has no file at all,
    or is the single file of 2016's format.
  """
  folder, name = os.path.split(prefix)
  if not tf.io.gfile.isdir(folder or "."):
    return []
  files = set(tf.io.gfile.listdir(folder or "."))
  shards = [
      shard
      for shard in map(_SHARD.fullmatch, sorted(files))
      if shard and shard[1] == name
  ]
  if name in files or not (shards or f"{name}.index" in files):
    return []
  count = int(shards[0][2]) if shards else 1
  expected = [f"{name}.index"]
  expected += [f"{name}.data-{i:05}-of-{count:05}" for i in range(count)]
  return [os.path.join(folder, n) for n in expected if n not in files]


def describe_missing(prefix: str, missing: Sequence[str]) -> str:
  """Returns an error text about an incomplete checkpoint.

  Args:
    prefix: The path of the checkpoint, without suffix.
    missing: The result of `missing_files`.

  Returns:
    The sentences. They name the missing files and, if the folder has another
    incomplete checkpoint that may be the other part of this one, that too.
  """
  folder = os.path.dirname(prefix)
  # The other part of a checkpoint of which only some files were renamed.
  other_suffix = ".index" if f"{prefix}.index" in missing else ".data-"
  others = [
      path
      for name in sorted(tf.io.gfile.listdir(folder or "."))
      if (match := _FILE.fullmatch(name))
      and name.startswith(match[1] + other_suffix)
      if (path := os.path.join(folder, match[1])) != prefix
      and missing_files(path)
  ]
  hint = (
      f" There is also a part of {others[0]}: if it belongs to this checkpoint,"
      " give all files the same name."
      if others
      else ""
  )
  return (
      f"The checkpoint {prefix} is incomplete: {', '.join(missing)} missing."
      f" Put all files of the checkpoint into one folder.{hint}"
  )
