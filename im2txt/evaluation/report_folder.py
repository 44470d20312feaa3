"""The folder of a report, which appears whole or not at all.

It is written under a temporary name beside its own, and renamed at the end. An
earlier report is replaced; a folder that holds anything else is left alone.
"""

from collections.abc import Iterator
import contextlib
import pathlib
import re
import shutil

from im2txt.runtime import whole_file

PAGE = "index.html"
THUMBNAILS = "thumbnails"
IMAGES = "images"
# What the page says of itself in its first lines, by which it is recognised.
GENERATOR = "im2txt html_report"

_LENGTH_OF_FIRST_LINES = 2048
_PICTURE = re.compile(r"\d+\.jpg")
# What file managers leave in folders that they show.
_OF_FILE_MANAGERS = frozenset({".DS_Store", "Thumbs.db"})


def check(path: pathlib.Path) -> None:
  """Makes sure that a report can be written.

  Args:
    path: The folder of the report: missing, empty, or an earlier report.

  Raises:
    ValueError: If it is something else.
  """
  for place in (path, *path.parents):
    if place.exists() and not place.is_dir():
      raise ValueError(f"A report is a folder, but {place} is a file.")
  if not path.exists():
    return
  stranger = _stranger(path)
  if stranger:
    raise ValueError(
        "A report replaces only an earlier report or an empty folder, but"
        f" {path} holds {stranger}. Give another folder, or empty this one."
    )


@contextlib.contextmanager
def create(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields an empty folder that becomes `path` when the block ends well.

  Args:
    path: The folder to make or to replace; no other process may do so at the
      same time.

  Yields:
    A folder to write to. When the block raises, it is deleted.

  Raises:
    ValueError: If `path` is neither missing, nor empty, nor a report.
  """
  check(path)
  final = path.resolve()  # A link to a folder stays what it is.
  partial = final.with_name(f".{final.name}.partial")
  earlier = final.with_name(f".{final.name}.earlier")
  shutil.rmtree(partial, ignore_errors=True)  # What a killed process left.
  partial.mkdir(parents=True)
  try:
    with whole_file.errors_name(str(path)):
      yield partial
    check(final)  # Hours may have passed.
    _replace(final, partial, earlier)
  finally:
    shutil.rmtree(partial, ignore_errors=True)


def _replace(
    final: pathlib.Path, partial: pathlib.Path, earlier: pathlib.Path
) -> None:
  """Makes `partial` be `final`, which is `earlier` for the moment between."""
  shutil.rmtree(earlier, ignore_errors=True)
  if final.exists():
    final.rename(earlier)
  try:
    partial.rename(final)
  except OSError:
    if earlier.exists():
      earlier.rename(final)
    raise
  shutil.rmtree(earlier, ignore_errors=True)


def _stranger(folder: pathlib.Path) -> str | None:
  """The name of something in the folder that is of no report, if any is."""
  for path in sorted(folder.iterdir()):
    if path.name in _OF_FILE_MANAGERS:
      continue
    if path.name in (THUMBNAILS, IMAGES) and path.is_dir():
      for picture in path.iterdir():
        name = picture.name
        if not _PICTURE.fullmatch(name) and name not in _OF_FILE_MANAGERS:
          return f"{path.name}/{name}"
    elif path.name != PAGE or not _is_ours(path):
      return path.name
  return None


def _is_ours(page: pathlib.Path) -> bool:
  if not page.is_file():
    return False
  with page.open("rb") as file:
    return GENERATOR.encode() in file.read(_LENGTH_OF_FIRST_LINES)
