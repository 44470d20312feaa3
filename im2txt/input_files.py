"""Finds and reads the files that a person names on the command line."""

import tensorflow as tf


def find(patterns: str) -> tuple[list[str], list[str]]:
  """Finds files.

  What is the name of a file is taken for that, even if it looks like a pattern
  or, standing alone, holds commas.

  Args:
    patterns: Names and patterns (`*`, `?`, `[a-z]`), separated by commas.

  Returns:
    The files, in the order of the patterns and those of one pattern sorted,
    each once; and the names and patterns that match no file.
  """
  files: dict[str, None] = {}
  unmatched = []
  separate = [p.strip() for p in patterns.split(",") if p.strip()]
  for pattern in [patterns] if tf.io.gfile.exists(patterns) else separate:
    if tf.io.gfile.exists(pattern):
      matches = [pattern]
    else:
      matches = sorted(tf.io.gfile.glob(pattern))
    if not matches:
      unmatched.append(pattern)
    files.update(dict.fromkeys(matches))
  return list(files), unmatched


def read(file: str) -> bytes:
  """The content of a file."""
  with tf.io.gfile.GFile(file, "rb") as opened:
    return opened.read()
