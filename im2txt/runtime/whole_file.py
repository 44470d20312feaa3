"""Files that appear whole or not at all.

A file is written under a temporary name beside its own, and renamed at the end.
"""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
from typing import BinaryIO


def check(path: str) -> None:
  """Finds what can't be replaced by a file, before hours of work.

  Args:
    path: The file that is to be written.

  Raises:
    ValueError: If it is a folder, or a device or a pipe, also one by its name
      only, as /dev/stdout is: that would no longer be one.
  """
  if os.path.isdir(path):
    raise ValueError(f"A file is to be written, but {path} is a folder.")
  is_system = os.path.dirname(os.path.abspath(path)) == "/dev"
  if is_system or (os.path.exists(path) and not os.path.isfile(path)):
    raise ValueError(
        f"{path} is no file. Name another, or none where the program can print."
    )


@contextlib.contextmanager
def create(path: str) -> Iterator[BinaryIO]:
  """Yields a binary file that becomes `path` when the block ends well.

  Args:
    path: The file to make or to replace; its folder must exist.

  Yields:
    A file to write to. When the block raises, it is deleted.

  Raises:
    ValueError: See `check`.
  """
  check(path)
  final = Path(path)
  temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
  try:
    with temporary.open("wb") as file:
      yield file
    temporary.replace(final)
  except OSError as error:
    if error.filename in (None, str(temporary)):  # None of a full disk.
      error.filename = path
    raise
  finally:
    temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def temporaries_removed(folder: str, pattern: str) -> Iterator[None]:
  """Deletes what killed processes left, before the block and after it.

  Args:
    folder: The folder of the files.
    pattern: A glob pattern of their final names.

  Yields:
    None. No process may be writing such files before the block or after it.
  """
  _remove_temporaries(folder, pattern)
  try:
    yield
  finally:
    _remove_temporaries(folder, pattern)


def _remove_temporaries(folder: str, pattern: str) -> None:
  for path in Path(folder).glob(f".{pattern}.*.tmp"):
    path.unlink(missing_ok=True)
