"""Atomic writes: local files appear complete or not at all.

A file is written under a temporary name in the same folder, and renamed at the
end. An error names the file that was asked for, as in

    model/model.pb can't be written: No space left on device.

This module does not import TensorFlow, which programs import late; for paths of
TensorFlow's file systems, such as gs://bucket/file, there is `cloud_file`.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import errno
import os
from pathlib import Path
import sys
from typing import Any
from typing import BinaryIO

# The errors of a disk that is full or broken. Of those of writing, Python knows
# no file name.
DISK_ERRORS = (errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC)


class WriteError(OSError):
  """A file that can't be written, and the reason: `filename`, `strerror`."""

  def __str__(self) -> str:
    return f"{self.filename} can't be written: {self.strerror}."


@contextlib.contextmanager
def errors_name(path: str, *, temporary: str = "") -> Iterator[None]:
  """Has the errors of writing name what was asked for, not a temporary file.

  Args:
    path: The file or folder that was asked for.
    temporary: A folder that becomes `path`; errors that name a file in it name
      `path` instead.

  Yields:
    None. In the block, all errors of TensorFlow are errors of writing.

  Raises:
    WriteError: If the block can't write. Other errors stay as they are.
  """
  try:
    yield
  except WriteError as error:
    if not temporary or not error.filename.startswith(temporary):
      raise
    raise WriteError(error.errno, error.strerror, path) from error
  except OSError as error:
    is_read_error = error.errno == errno.EIO and error.filename is not None
    if error.errno not in DISK_ERRORS or is_read_error:
      raise
    raise WriteError(error.errno, error.strerror, path) from error
  except _tensorflow_errors() as error:
    # TensorFlow says "<path of a part>; <reason>", and names the operation, or
    # has further lines.
    reason = error.message.partition("; ")[2] or error.message
    reason = reason.partition(" [Op:")[0].splitlines()[0]
    raise WriteError(errno.EIO, reason.rstrip("."), path) from error


def _tensorflow_errors() -> tuple[Any, ...]:
  tf = sys.modules.get("tensorflow")  # Not of a program that doesn't need it.
  return (tf.errors.OpError,) if tf else ()


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
def temporary_path(path: str) -> Iterator[str]:
  """Yields a path to write to, which becomes `path` if the block succeeds.

  Args:
    path: The file to create or replace; its folder must exist.

  Yields:
    A path in the same folder. If the block raises, its file is deleted.

  Raises:
    ValueError: If `path` can't be replaced by a file; see `check`.
    WriteError: If the disk is full or broken.
  """
  check(path)
  final = Path(path)
  temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
  try:
    with errors_name(path):
      yield str(temporary)
    temporary.replace(final)
  except OSError as error:
    if error.filename == str(temporary):
      error.filename = path
    raise
  finally:
    temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def create(path: str) -> Iterator[BinaryIO]:
  """Yields a binary file that becomes `path` if the block succeeds.

  Args:
    path: See `temporary_path`.

  Yields:
    The file to write to.
  """
  with temporary_path(path) as temporary, open(temporary, "wb") as file:
    yield file


@contextlib.contextmanager
def temporaries_removed(folder: str, *patterns: str) -> Iterator[None]:
  """Deletes what killed processes left, before the block and after it.

  Args:
    folder: The folder of the files.
    *patterns: Glob patterns of their final names.

  Yields:
    None. No process may be writing such files before the block or after it.
  """
  _remove_temporaries(folder, patterns)
  try:
    yield
  finally:
    _remove_temporaries(folder, patterns)


def _remove_temporaries(folder: str, patterns: Iterable[str]) -> None:
  for pattern in patterns:
    for path in Path(folder).glob(f".{pattern}.*.tmp"):
      path.unlink(missing_ok=True)
