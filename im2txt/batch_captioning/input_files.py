"""Finds and reads the image files that a person names on the command line.

Names on this machine may be no UTF-8, which TensorFlow takes all names for: it
reads only what is elsewhere, such as gs://bucket/dog.jpg.
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

# As MSCOCO names its images: COCO_val2014_000000224477.jpg, 000000224477.jpg.
_MSCOCO_NAME = re.compile(r"(?:COCO_\w+_)?(\d{12})")


_LIST_MARK = "@"
# What is before the path where TensorFlow has another file system for it.
_SCHEME = re.compile(r"[a-zA-Z][0-9a-zA-Z.]*://")


def find_ids(files: Iterable[str], captions_file: str = "") -> dict[str, int]:
  """Finds the id of each file.

  Args:
    files: The image files.
    captions_file: JSON of MSCOCO's form that lists file names with ids. Without
      one, the number in a file's name is the id, as in MSCOCO's names.

  Returns:
    The ids by file.

  Raises:
    FileNotFoundError: If there is no such captions file.
    ValueError: If it is another JSON, or a file has no id or that of another.
  """
  listed = _Listed(captions_file) if captions_file else None
  found: dict[str, int] = {}
  of_ids: dict[int, str] = {}
  for file in files:
    image_id = (
        listed.image_id(file) if listed else _number(os.path.basename(file))
    )
    if image_id in of_ids:
      raise ValueError(
          f"{of_ids[image_id]} and {file} have the same image id, {image_id}."
          " Pass only one of them."
      )
    found[file] = image_id
    of_ids[image_id] = file
  return found


class _Listed:
  """The ids of the files that a captions JSON lists.

  A file is listed by its name, by its place in a folder (a/1.jpg), or by its
  whole path.
  """

  def __init__(self, captions_file: str):
    """Reads the JSON; raises what `find` does."""
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


def left_out(patterns: str, files: Collection[str]) -> list[str]:
  """Returns the files in the folders among some patterns that are not taken.

  Args:
    patterns: As of `find`.
    files: What `find` found.

  Returns:
    The paths, sorted; those of folders and of hidden files are not among them.
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
  """Finds files.

  What is the name of a file is taken for that, even if it looks like a pattern
  or a list or, standing alone, holds commas.

  Args:
    patterns: Names and patterns (`*`, `?`, `[a-z]`), separated by commas. Or
      folders, for the images directly in them, whose names end as those of
      images do. Or "@list.txt" for the names in that file, one a line; it may
      be a pipe.

  Returns:
    The files, in the order of the patterns, those of one pattern or folder
    sorted and those of a list as there, each once; and by what gave no file,
    why.

  Raises:
    FileNotFoundError: If there is no file at all.
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
  """The content of a file.

  Args:
    file: One of those that `find` found.

  Returns:
    The content.

  Raises:
    OSError: If it can't be read; also of a pipe or a device, which may never
      end.
    tf.errors.OpError: If it can't be read and is not on this machine.
  """
  if _is_local(file) and os.path.exists(file) and not os.path.isfile(file):
    raise OSError(errno.EINVAL, "Not a regular file", file)
  return _content(file)


class _NoFileError(Exception):
  """A pattern gives no file; says why."""


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
  except (OSError, tf.errors.OpError):  # `find` has said so.
    return False


def _names(folder: str) -> list[str]:
  names = (os if _is_local(folder) else tf.io.gfile).listdir(folder)
  return [name.rstrip("/") for name in names]


def _is_name(patterns: str) -> bool:
  try:
    return _exists(patterns)
  except tf.errors.OpError:  # To be met again with the pattern of which it is.
    return False


def _matches(pattern: str) -> list[str]:
  """The files of one pattern, or a `_NoFileError`."""
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
    # To a glob, a folder that may not be read is one without files.
    with contextlib.suppress(FileNotFoundError):
      os.scandir(os.path.dirname(pattern) or ".").close()
  return matches


def _listed(path: str) -> list[str]:
  if not _exists(path) or _is_folder(path):
    raise _NoFileError("There is no such list.")
  # Some editors put a mark before UTF-8 text; names may be none.
  text = _content(path).decode("utf-8-sig", "surrogateescape")
  if "\0" in text:
    raise _NoFileError("This list is no UTF-8 text.")
  return [line.strip() for line in text.split("\n") if line.strip()]
