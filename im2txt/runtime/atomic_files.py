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

# Errors of a disk that is full or broken. When one is raised by a write, it has
# no file name.
DISK_ERRORS = (errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC)


class WriteError(OSError):
  """A failed write, with the file and the reason: `filename`, `strerror`."""

  def __str__(self) -> str:
    return f"{self.filename} can't be written: {self.strerror}."


@contextlib.contextmanager
def errors_name(path: str, *, temporary: str = "") -> Iterator[None]:
  """Makes write errors name the requested path, not a temporary file.

  Args:
    path: The requested file or folder.
    temporary: A folder that becomes `path`; errors that name a file in it name
      `path` instead.

  Yields:
    None. All errors of TensorFlow in the block count as write errors.

  Raises:
    WriteError: If a write in the block fails. Other errors are not changed.
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
    # TensorFlow's message is "<path of a part>; <reason>", followed by the
    # operation's name or by further lines.
    reason = error.message.partition("; ")[2] or error.message
    reason = reason.partition(" [Op:")[0].splitlines()[0]
    raise WriteError(errno.EIO, reason.rstrip("."), path) from error


def _tensorflow_errors() -> tuple[Any, ...]:
  tf = sys.modules.get("tensorflow")  # Some programs do not import it.
  return (tf.errors.OpError,) if tf else ()


def check(path: str) -> None:
  """Checks that a path can be replaced by a file, before hours of work.

  Args:
    path: The path of the file to write.

  Raises:
    ValueError: If the path is a folder, a device or a pipe, or anything in
      /dev, since the rename would replace it.
  """
  if os.path.isdir(path):
    raise ValueError(f"{path} is a folder. Give the path of a file.")
  is_system = os.path.dirname(os.path.abspath(path)) == "/dev"
  if is_system or (os.path.exists(path) and not os.path.isfile(path)):
    raise ValueError(
        f"{path} is not a regular file. Choose another path, or leave the flag"
        " out if the program can print its output."
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
  """Deletes temporary files of killed processes before and after the block.

  Args:
    folder: The folder of the files.
    *patterns: Glob patterns of the files' final names.

  Yields:
    None. No other process may be writing such files when the block begins or
    ends.
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
