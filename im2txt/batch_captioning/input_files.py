"""Finds and reads the image files that a person names on the command line.

Names on this machine may be no UTF-8, which TensorFlow takes all names for: it
reads only what is elsewhere, such as gs://bucket/dog.jpg.
"""

from collections.abc import Collection
import contextlib
import errno
import glob
import os
from pathlib import Path
import re

import tensorflow as tf

from im2txt.data import image_files

_LIST_MARK = "@"
# What is before the path where TensorFlow has another file system for it.
_SCHEME = re.compile(r"[a-zA-Z][0-9a-zA-Z.]*://")


def left_out(patterns: str, files: Collection[str]) -> list[str]:
  """Returns the files in the folders among some patterns that are not taken.

  Args:
    patterns: As of `find`.
    files: What `find` found.

  Returns:
    The paths, sorted; those of folders and of hidden files are not among them.
  """
  taken = set(files)
  separate = [p.strip() for p in patterns.split(",") if p.strip()]
  return sorted(
      path
      for folder in ([patterns] if _is_name(patterns) else separate)
      if _is_readable_folder(folder)
      for name in _names(folder)
      if not name.startswith(".")
      and (path := os.path.join(folder, name)) not in taken
      and not _is_folder(path)
  )


def find(patterns: str) -> tuple[list[str], dict[str, str]]:
  """Finds files.

  What is the name of a file is taken for that, even if it looks like a pattern
  or a list or, standing alone, holds commas.

  Args:
    patterns: Names and patterns (`*`, `?`, `[a-z]`), separated by commas. Or
      folders, for the images directly in them, whose names end as those of
      images do. Or "@list.txt" for the names in that file, one a line; it may
      be a pipe.

  Returns:
    The files, in the order of the patterns, those of one pattern or folder
    sorted and those of a list as there, each once; and by what gave no file,
    why.

  Raises:
    FileNotFoundError: If there is no file at all.
  """
  files: dict[str, None] = {}
  problems = {}
  separate = [p.strip() for p in patterns.split(",") if p.strip()]
  for pattern in [patterns] if _is_name(patterns) else separate:
    try:
      files.update(dict.fromkeys(_matches(pattern)))
    except _NoFileError as error:
      problems[pattern] = str(error)
    except OSError as error:
      problems[pattern] = f"It can't be read: {error.strerror}."
    except tf.errors.OpError as error:
      problems[pattern] = f"It can't be read: {error.message}."
  if not files:
    reasons = "".join(f" {why}" for why in dict.fromkeys(problems.values()))
    raise FileNotFoundError(
        f"No file matches --input_files. Got: {patterns!r}.{reasons}"
    )
  return list(files), problems


def read(file: str) -> bytes:
  """The content of a file.

  Args:
    file: One of those that `find` found.

  Returns:
    The content.

  Raises:
    OSError: If it can't be read; also of a pipe or a device, which may never
      end.
    tf.errors.OpError: If it can't be read and is not on this machine.
  """
  if _is_local(file) and os.path.exists(file) and not os.path.isfile(file):
    raise OSError(errno.EINVAL, "Not a regular file", file)
  return _content(file)


class _NoFileError(Exception):
  """A pattern gives no file; says why."""


def _content(file: str) -> bytes:
  if _is_local(file):
    return Path(file).read_bytes()
  with tf.io.gfile.GFile(os.fsencode(file), "rb") as opened:
    return opened.read()


def _is_local(path: str) -> bool:
  return not _SCHEME.match(path)


def _exists(path: str) -> bool:
  return (os.path if _is_local(path) else tf.io.gfile).exists(path)


def _is_folder(path: str) -> bool:
  return (os.path if _is_local(path) else tf.io.gfile).isdir(path)


def _is_readable_folder(path: str) -> bool:
  try:
    return _is_folder(path) and bool(_names(path))
  except (OSError, tf.errors.OpError):  # `find` has said so.
    return False


def _names(folder: str) -> list[str]:
  names = (os if _is_local(folder) else tf.io.gfile).listdir(folder)
  return [name.rstrip("/") for name in names]


def _is_name(patterns: str) -> bool:
  try:
    return _exists(patterns)
  except tf.errors.OpError:  # To be met again with the pattern of which it is.
    return False


def _matches(pattern: str) -> list[str]:
  """The files of one pattern, or a `_NoFileError`."""
  if _is_folder(pattern):
    matches = [
        os.path.join(pattern, name)
        for name in sorted(_names(pattern))
        if name.lower().endswith(image_files.SUFFIXES)
    ]
    problem = "There is no image in this folder."
  elif _exists(pattern):
    return [pattern]
  elif pattern.startswith(_LIST_MARK):
    matches = _listed(pattern.removeprefix(_LIST_MARK))
    problem = "There is no name in this list."
  else:
    matches = _matching(pattern)
    problem = "There is no such file."
  if not matches:
    raise _NoFileError(problem)
  return matches


def _matching(pattern: str) -> list[str]:
  if not _is_local(pattern):
    return sorted(tf.io.gfile.glob(pattern))
  matches = sorted(glob.glob(pattern, include_hidden=True))
  if not matches:
    # To a glob, a folder that may not be read is one without files.
    with contextlib.suppress(FileNotFoundError):
      os.scandir(os.path.dirname(pattern) or ".").close()
  return matches


def _listed(path: str) -> list[str]:
  if not _exists(path) or _is_folder(path):
    raise _NoFileError("There is no such list.")
  # Some editors put a mark before UTF-8 text; names may be none.
  text = _content(path).decode("utf-8-sig", "surrogateescape")
  if "\0" in text:
    raise _NoFileError("This list is no UTF-8 text.")
  return [line.strip() for line in text.split("\n") if line.strip()]
