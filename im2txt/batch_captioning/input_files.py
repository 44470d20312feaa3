"""Finds and reads the image files that a person names on the command line."""

import os

import tensorflow as tf

# What images in a folder are known by; what a file holds decides how it is
# decoded.
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
_LIST_MARK = "@"


def find(patterns: str) -> tuple[list[str], dict[str, str]]:
  """Finds files.

  What is the name of a file is taken for that, even if it looks like a pattern
  or a list or, standing alone, holds commas.

  Args:
    patterns: Names and patterns (`*`, `?`, `[a-z]`), separated by commas. Or
      folders, for the images directly in them, whose names end as those of
      images do. Or "@list.txt" for the names in that file, one a line.

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
    except FileNotFoundError as error:
      problems[pattern] = str(error)
    except tf.errors.OpError as error:
      problems[pattern] = f"It can't be read: {error.message}."
  if not files:
    reasons = "".join(f" {why}" for why in dict.fromkeys(problems.values()))
    raise FileNotFoundError(
        f"No file matches --input_files. Got: {patterns!r}.{reasons}"
    )
  return list(files), problems


def read(file: str) -> bytes:
  """The content of a file."""
  with tf.io.gfile.GFile(file, "rb") as opened:
    return opened.read()


def _is_name(patterns: str) -> bool:
  try:
    return tf.io.gfile.exists(patterns)
  except tf.errors.OpError:  # To be met again with the pattern of which it is.
    return False


def _matches(pattern: str) -> list[str]:
  """The files of one pattern; a FileNotFoundError says that there is none."""
  if tf.io.gfile.isdir(pattern):
    matches = [
        os.path.join(pattern, name)
        for name in sorted(tf.io.gfile.listdir(pattern))
        if name.lower().endswith(_SUFFIXES)
    ]
    problem = "There is no image in this folder."
  elif tf.io.gfile.exists(pattern):
    return [pattern]
  elif pattern.startswith(_LIST_MARK):
    matches = _listed(pattern.removeprefix(_LIST_MARK))
    problem = "There is no name in this list."
  else:
    matches = sorted(tf.io.gfile.glob(pattern))
    problem = "There is no such file."
  if not matches:
    raise FileNotFoundError(problem)
  return matches


def _listed(path: str) -> list[str]:
  if not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
    raise FileNotFoundError("There is no such list.")
  with tf.io.gfile.GFile(path) as file:
    try:
      return [line.strip() for line in file if line.strip()]
    except UnicodeDecodeError as error:
      raise FileNotFoundError("This list is no UTF-8 text.") from error
