"""Locks that let one process at a time write to a folder or a file."""

from collections.abc import Iterator
import contextlib
import errno
import fcntl
import os
import socket
import time
from typing import IO
from typing import Any

from absl import logging

FILE_NAME = "lock"

# Errors of file systems without locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)

_TRIES = 4
_SECS_BETWEEN_TRIES = 0.1


class FolderInUseError(ValueError):
  """The folder is locked by another process."""


@contextlib.contextmanager
def hold(folder: str) -> Iterator[None]:
  """Locks a folder while the block runs.

  Folders on cloud paths can't be locked.

  Args:
    folder: The folder; made if it is missing.

  Yields:
    None.

  Raises:
    FolderInUseError: If another process, which the message names, holds the
      lock.
  """
  if "://" in folder:
    yield
    return
  os.makedirs(folder, exist_ok=True)
  path = os.path.join(folder, FILE_NAME)
  with open(path, "a+", encoding="utf-8") as file:
    try:
      lock_file(file)
    except BlockingIOError:
      file.seek(0)
      holder = file.read().strip() or "another process"
      raise FolderInUseError(
          f"{folder} is being written by {holder}. Wait for it or stop it, or"
          " choose another folder."
      ) from None
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    yield


def was_released(folder: str) -> bool:
  """Returns whether a folder was locked once and no longer is.

  Args:
    folder: The folder, which need not exist.

  Returns:
    Whether it was locked and released; false also on cloud paths and on file
    systems without locks.
  """
  try:
    with open(os.path.join(folder, FILE_NAME), encoding="utf-8") as file:
      fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
      return True
  except OSError:
    return False


def lock_file(file: IO[Any]) -> None:
  """Locks a file until it is closed or the process ends, however it ends.

  On a file system without locks this only logs a warning.

  Args:
    file: The open file.

  Raises:
    BlockingIOError: If another process holds the lock.
  """
  for tries_left in reversed(range(_TRIES)):
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      return
    except BlockingIOError:
      # `was_released` may hold the lock for a moment.
      if not tries_left:
        raise
      time.sleep(_SECS_BETWEEN_TRIES)
    except OSError as error:
      if error.errno not in _NO_LOCKS:
        raise
      logging.warning("%s can't be locked: %s.", file.name, error.strerror)
      return
