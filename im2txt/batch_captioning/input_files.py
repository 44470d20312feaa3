"""Finds and reads the image files named on the command line.

The names of local files may not be UTF-8, which TensorFlow expects, so it reads
only remote files, such as gs://bucket/dog.jpg. `image_ids` returns the ids by
which the COCO tools know images.
"""

from collections.abc import Collection
from collections.abc import Iterable
import contextlib
import errno
import glob
import os
from pathlib import Path
import re
import unicodedata

import tensorflow as tf

from im2txt.data import caption_sources
from im2txt.data import image_files

_LIST_MARK = "@"
# The prefix of a path in a remote file system of TensorFlow.
_SCHEME = re.compile(r"[a-zA-Z][0-9a-zA-Z.]*://")
# As MSCOCO names its images: COCO_val2014_000000224477.jpg, 000000224477.jpg.
_MSCOCO_NAME = re.compile(r"(?:COCO_\w+_)?(\d{12})")


def left_out(patterns: str, files: Collection[str]) -> list[str]:
  """Returns the files that `find` skipped in the folders among patterns.

  Args:
    patterns: The patterns passed to `find`.
    files: The files that `find` returned.

  Returns:
    The sorted paths of the skipped files, without folders and hidden files.
  """
  taken = set(files)
  separate = [p.strip() for p in patterns.split(",") if p.strip()]
  return sorted(
      path
      for folder in ([patterns] if _is_name(patterns) else separate)
      if _is_readable_folder(folder)
      for name in _names(folder)
      if not name.startswith(".")
      and (path := os.path.join(folder, name)) not in taken
      and not _is_folder(path)
  )


def find(patterns: str) -> tuple[list[str], dict[str, str]]:
  """Finds the files that match patterns.

  The name of an existing file is used as it is, even if it looks like a pattern
  or a list. If it is the only name, it may contain commas.

  Args:
    patterns: Names and patterns (`*`, `?`, `[a-z]`), separated by commas. A
      folder stands for the image files directly in it, by their suffixes.
      "@list.txt" stands for the names in that file, one per line; it may be a
      pipe.

  Returns:
    The files without duplicates, in the order of the patterns, sorted within a
    pattern or folder and in the order of a list; and a dict from each pattern
    without files to the reason.

  Raises:
    FileNotFoundError: If no file matches any pattern.
  """
  files: dict[str, None] = {}
  problems = {}
  separate = [p.strip() for p in patterns.split(",") if p.strip()]
  for pattern in [patterns] if _is_name(patterns) else separate:
    try:
      files.update(dict.fromkeys(_matches(pattern)))
    except _NoFileError as error:
      problems[pattern] = str(error)
    except OSError as error:
      problems[pattern] = f"It can't be read: {error.strerror}."
    except tf.errors.OpError as error:
      problems[pattern] = f"It can't be read: {error.message}."
  if not files:
    reasons = "".join(f" {why}" for why in dict.fromkeys(problems.values()))
    raise FileNotFoundError(
        f"No file matches --input_files. Got: {patterns!r}.{reasons}"
    )
  return list(files), problems


def read(file: str) -> bytes:
  """Reads a file.

  Args:
    file: The path of a file that `find` returned.

  Returns:
    The content of the file.

  Raises:
    OSError: If the file cannot be read, or is a pipe or a device, which may
      never end.
    tf.errors.OpError: If the file is remote and cannot be read.
  """
  if _is_local(file) and os.path.exists(file) and not os.path.isfile(file):
    raise OSError(errno.EINVAL, "Not a regular file", file)
  return _content(file)


def image_ids(files: Iterable[str], captions_file: str = "") -> dict[str, int]:
  """Returns the image id of each file, for the COCO tools.

  Args:
    files: The paths of the image files.
    captions_file: The path of a JSON file in MSCOCO's format that lists file
      names with ids. If empty, the id is the number in a file's name, as in
      MSCOCO's names.

  Returns:
    The image ids by file.

  Raises:
    FileNotFoundError: If the captions file does not exist.
    ValueError: If the captions file has another format, or a file has no id or
      the same id as another file.
  """
  listed = _ImageIds(captions_file) if captions_file else None
  ids: dict[str, int] = {}
  files_by_id: dict[int, str] = {}
  for file in files:
    image_id = (
        listed.image_id(file) if listed else _number(os.path.basename(file))
    )
    if image_id in files_by_id:
      raise ValueError(
          f"{files_by_id[image_id]} and {file} have the same image id,"
          f" {image_id}. Pass only one of them."
      )
    ids[file] = image_id
    files_by_id[image_id] = file
  return ids


class _NoFileError(Exception):
  """The reason why a pattern matches no file."""


def _content(file: str) -> bytes:
  if _is_local(file):
    return Path(file).read_bytes()
  with tf.io.gfile.GFile(os.fsencode(file), "rb") as opened:
    return opened.read()


def _is_local(path: str) -> bool:
  return not _SCHEME.match(path)


def _exists(path: str) -> bool:
  return (os.path if _is_local(path) else tf.io.gfile).exists(path)


def _is_folder(path: str) -> bool:
  return (os.path if _is_local(path) else tf.io.gfile).isdir(path)


def _is_readable_folder(path: str) -> bool:
  try:
    return _is_folder(path) and bool(_names(path))
  except (OSError, tf.errors.OpError):  # `find` reports it.
    return False


def _names(folder: str) -> list[str]:
  names = (os if _is_local(folder) else tf.io.gfile).listdir(folder)
  return [name.rstrip("/") for name in names]


def _is_name(patterns: str) -> bool:
  try:
    return _exists(patterns)
  except tf.errors.OpError:  # `find` meets it again, and reports it by pattern.
    return False


def _matches(pattern: str) -> list[str]:
  """Returns the files of one pattern; raises `_NoFileError` if none."""
  if _is_folder(pattern):
    matches = [
        os.path.join(pattern, name)
        for name in sorted(_names(pattern))
        if name.lower().endswith(image_files.SUFFIXES)
    ]
    problem = "There is no image in this folder."
  elif _exists(pattern):
    return [pattern]
  elif pattern.startswith(_LIST_MARK):
    matches = _listed(pattern.removeprefix(_LIST_MARK))
    problem = "There is no name in this list."
  else:
    matches = _matching(pattern)
    problem = "There is no such file."
  if not matches:
    raise _NoFileError(problem)
  return matches


def _matching(pattern: str) -> list[str]:
  if not _is_local(pattern):
    return sorted(tf.io.gfile.glob(pattern))
  matches = sorted(glob.glob(pattern, include_hidden=True))
  if not matches:
    # glob treats an unreadable folder as an empty one; report it instead.
    with contextlib.suppress(FileNotFoundError):
      os.scandir(os.path.dirname(pattern) or ".").close()
  return matches


def _listed(path: str) -> list[str]:
  if not _exists(path) or _is_folder(path):
    raise _NoFileError("There is no such list.")
  # Some editors add a byte order mark; names may not be UTF-8.
  text = _content(path).decode("utf-8-sig", "surrogateescape")
  if "\0" in text:
    raise _NoFileError("This list is not a UTF-8 text.")
  return [line.strip() for line in text.split("\n") if line.strip()]


class _ImageIds:
  """The image ids that a captions JSON lists.

  A file is listed by its name, by its place in a folder (a/1.jpg), or by its
  whole path.
  """

  def __init__(self, captions_file: str):
    """Reads the JSON; raises the errors of `image_ids`."""
    self._captions_file = captions_file
    self._by_name: dict[str, dict[str, int]] = {}
    for path, image_id in caption_sources.load_image_ids(captions_file).items():
      path = _normalized(path)
      self._by_name.setdefault(os.path.basename(path), {})[path] = image_id

  def image_id(self, file: str) -> int:
    """Returns the id of a file; raises a ValueError if it has none."""
    whole = _normalized(file if "://" in file else os.path.abspath(file))
    paths = self._by_name.get(os.path.basename(whole), {})
    matches = [p for p in paths if f"/{whole}".endswith(f"/{p.lstrip('/')}")]
    if matches:
      return paths[max(matches, key=len)]
    if len(paths) == 1:  # The pictures were moved.
      return next(iter(paths.values()))
    if paths:
      raise ValueError(
          f"{self._captions_file} lists several images called"
          f" {os.path.basename(file)!r}, such as {min(paths)}, but not {file}."
      )
    raise ValueError(
        f"{self._captions_file} lists no image {os.path.basename(file)!r}."
    )


def _normalized(path: str) -> str:
  return unicodedata.normalize("NFC", path.replace("\\", "/"))


def _number(name: str) -> int:
  match = _MSCOCO_NAME.fullmatch(os.path.splitext(name)[0])
  if not match:
    raise ValueError(
        f"{name!r} has no image id in its name, as 000000224477.jpg or"
        " COCO_val2014_000000224477.jpg have. Name a captions JSON that lists"
        " ids by file_name: --captions_file."
    )
  return int(match[1])
