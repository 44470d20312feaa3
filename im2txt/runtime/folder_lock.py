"""Lets one process at a time write to a folder."""

from collections.abc import Iterator
import contextlib
import errno
import fcntl
import os
import socket
import time
from typing import IO

from absl import logging

FILE_NAME = "lock"

# What file systems answer that know no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)

_TRIES = 3
_SECS_BETWEEN_TRIES = 0.1


class FolderInUseError(ValueError):
  """Another process writes to the folder."""


@contextlib.contextmanager
def hold(folder: str) -> Iterator[None]:
  """Keeps other processes from the folder while the context lasts.

  The operating system ends the hold when the process dies, however it dies.
  Folders on cloud paths, and file systems without locks, can't be held.

  Args:
    folder: The folder; made if it is missing.

  Yields:
    Nothing.

  Raises:
    FolderInUseError: If another process holds it; the message says which.
  """
  if "://" in folder:
    yield
    return
  os.makedirs(folder, exist_ok=True)
  path = os.path.join(folder, FILE_NAME)
  with open(path, "a+", encoding="utf-8") as file:
    try:
      _lock(file)
    except BlockingIOError:
      file.seek(0)
      holder = file.read().strip() or "another process"
      raise FolderInUseError(
          f"{folder} is being written by {holder}. Wait for it or stop it, or"
          " choose another folder."
      ) from None
    except OSError as error:
      if error.errno not in _NO_LOCKS:
        raise
      logging.warning("%s can't be locked: %s.", folder, error.strerror)
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    yield


def was_released(folder: str) -> bool:
  """Returns whether a process held a folder and no process does any more.

  Args:
    folder: The folder, which need not exist.

  Returns:
    False also where this can't be known: on cloud paths, and on file systems
    without locks.
  """
  try:
    with open(os.path.join(folder, FILE_NAME), encoding="utf-8") as file:
      fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
      return True
  except OSError:
    return False


def _lock(file: IO[str]) -> None:
  """Locks a file, though `was_released` may hold it for a moment."""
  for _ in range(_TRIES):
    try:
      return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      time.sleep(_SECS_BETWEEN_TRIES)
  return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
