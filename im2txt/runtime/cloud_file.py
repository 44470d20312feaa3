"""Files that appear whole or not at all, also where paths are a cloud's.

For local ones that grow bit by bit there is `atomic_files`.
"""

import errno
import os

import tensorflow as tf

from im2txt.runtime import atomic_files


def write(content: bytes, path: str) -> None:
  """Writes a file under another name, which then becomes its own.

  Args:
    content: What the file is to hold.
    path: The file to make or to replace. Its folder is made if need be.

  Raises:
    IsADirectoryError: If `path` is a folder.
    ValueError: If it is a device or a pipe.
    WriteError: If it can't be written.
  """
  if tf.io.gfile.isdir(path):
    raise IsADirectoryError(errno.EISDIR, "The file to write is a folder", path)
  atomic_files.check(path)
  temporary = path + ".tmp"
  with atomic_files.errors_name(path):
    tf.io.gfile.makedirs(os.path.dirname(path) or ".")
    try:
      with tf.io.gfile.GFile(temporary, "wb") as file:
        file.write(content)
      tf.io.gfile.rename(temporary, path, overwrite=True)
    finally:
      if tf.io.gfile.exists(temporary):
        tf.io.gfile.remove(temporary)
