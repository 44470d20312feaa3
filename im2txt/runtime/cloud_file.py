"""Atomic writes of files on any path of TensorFlow's, such as gs://bucket/file.

`atomic_files` does the same for local paths, without importing TensorFlow.
"""

from collections.abc import Iterator
import contextlib
import errno
import os

import tensorflow as tf

from im2txt.runtime import atomic_files


@contextlib.contextmanager
def temporary_path(path: str) -> Iterator[str]:
  """Yields a path to write to, which becomes `path` if the block succeeds.

  Args:
    path: The file to create or replace; its folder must exist.

  Yields:
    A path in the same folder. If the block raises, its file is deleted. Errors
    are not changed, so `atomic_files.errors_name` belongs around each write.
  """
  temporary = path + ".tmp"
  try:
    yield temporary
    tf.io.gfile.rename(temporary, path, overwrite=True)
  finally:
    if tf.io.gfile.exists(temporary):
      tf.io.gfile.remove(temporary)


def write(content: bytes, path: str) -> None:
  """Writes a file.

  Args:
    content: The content of the file.
    path: The file to create or replace. Its folder is made if it is missing.

  Raises:
    IsADirectoryError: If `path` is a folder.
    ValueError: If `path` is a device or a pipe.
    WriteError: If the file can't be written.
  """
  if tf.io.gfile.isdir(path):
    raise IsADirectoryError(errno.EISDIR, "The file to write is a folder", path)
  atomic_files.check(path)
  with atomic_files.errors_name(path):
    tf.io.gfile.makedirs(os.path.dirname(path) or ".")
    with (
        temporary_path(path) as temporary,
        tf.io.gfile.GFile(temporary, "wb") as file,
    ):
      file.write(content)
