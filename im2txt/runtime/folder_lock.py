"""Lets one process at a time write to a folder."""

from collections.abc import Iterator
import contextlib
import errno
import fcntl
import os
import socket

from absl import logging

FILE_NAME = "lock"

# What file systems answer that know no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


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
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
