"""The files of a report: its folder, and copies of its images.

The folder is written under a temporary name beside the final one and renamed at
the end, so a report is either complete or missing. An earlier report is
replaced; a folder with any other content is left alone.

All images are encoded again, even small ones, so that the report has neither
the camera's metadata (such as the location) nor anything else that the original
files contain besides the picture.
"""

from collections.abc import Iterator
import contextlib
import io
import pathlib
import re
import shutil

from PIL import Image
from PIL import ImageOps

from im2txt.data import image_files
from im2txt.runtime import atomic_files

PAGE = "index.html"
THUMBNAILS = "thumbnails"
IMAGES = "images"
# In the first lines of each page; identifies the page of an earlier report.
GENERATOR = "im2txt html_report"

_LENGTH_OF_FIRST_LINES = 2048
_IMAGE_NAME = re.compile(r"\d+\.jpg")
# Files that file managers write to the folders that they show.
_FILE_MANAGER_FILES = frozenset({".DS_Store", "Thumbs.db"})

# Maximal width and height in pixels, and JPEG quality.
_THUMBNAIL_SIZE = 320
_THUMBNAIL_QUALITY = 80
_IMAGE_SIZE = 800
_IMAGE_QUALITY = 85
# Higher, because the browser enlarges these images.
_SMALL_IMAGE_QUALITY = 95


def check_folder(path: pathlib.Path) -> None:
  """Checks that a report can be written to a folder.

  Args:
    path: The folder of the report: missing, empty, or an earlier report.

  Raises:
    ValueError: If the path is anything else.
  """
  for place in (path, *path.parents):
    if place.exists() and not place.is_dir():
      raise ValueError(f"A report is a folder, but {place} is a file.")
  if not path.exists():
    return
  other_file = _find_other_file(path)
  if other_file:
    raise ValueError(
        "A report replaces only an earlier report or an empty folder, but"
        f" {path} holds {other_file}. Give another folder, or empty this one."
    )


@contextlib.contextmanager
def create_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields an empty folder that is renamed to `path` if the block succeeds.

  Args:
    path: The folder to create or replace. Only one process at a time may do
      this.

  Yields:
    The folder to write to. It is deleted if the block raises.

  Raises:
    ValueError: If `path` is neither missing, nor empty, nor a report.
  """
  check_folder(path)
  final = path.resolve()  # Keeps a link to a folder a link.
  partial = final.with_name(f".{final.name}.partial")
  earlier = final.with_name(f".{final.name}.earlier")
  shutil.rmtree(partial, ignore_errors=True)  # Left by a killed process.
  partial.mkdir(parents=True)
  try:
    with atomic_files.errors_name(str(path)):
      yield partial
    check_folder(final)  # The block may have taken hours.
    _replace(final, partial, earlier)
  finally:
    shutil.rmtree(partial, ignore_errors=True)


def copy_image(
    path: pathlib.Path, *, thumbnail: pathlib.Path, image: pathlib.Path
) -> list[pathlib.Path]:
  """Writes a thumbnail of an image and, unless it is small, a larger copy.

  Args:
    path: The image file, in any format that Pillow reads.
    thumbnail: The JPEG file to write, of at most 320 x 320 pixels.
    image: The JPEG file to write if the image is larger than that, of at most
      800 x 800 pixels.

  Returns:
    The files written; empty if the image can't be read.

  Raises:
    OSError: If a copy can't be written.
  """
  try:
    picture = _read(path)
  except (*image_files.UNREADABLE, Image.DecompressionBombError):
    return []
  if max(picture.size) <= _THUMBNAIL_SIZE:
    _save(picture, thumbnail, _SMALL_IMAGE_QUALITY)
    return [thumbnail]
  _save(picture, image, _IMAGE_QUALITY)
  picture.thumbnail((_THUMBNAIL_SIZE, _THUMBNAIL_SIZE))
  _save(picture, thumbnail, _THUMBNAIL_QUALITY)
  return [thumbnail, image]


def _replace(
    final: pathlib.Path, partial: pathlib.Path, earlier: pathlib.Path
) -> None:
  """Renames `partial` to `final`; restores the old one on failure."""
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


def _find_other_file(folder: pathlib.Path) -> str | None:
  """Returns the name of a file that is not part of a report, if one exists."""
  for path in sorted(folder.iterdir()):
    if path.name in _FILE_MANAGER_FILES:
      continue
    if path.name in (THUMBNAILS, IMAGES) and path.is_dir():
      for image in path.iterdir():
        name = image.name
        if not _IMAGE_NAME.fullmatch(name) and name not in _FILE_MANAGER_FILES:
          return f"{path.name}/{name}"
    elif path.name != PAGE or not _is_report_page(path):
      return path.name
  return None


def _is_report_page(page: pathlib.Path) -> bool:
  if not page.is_file():
    return False
  with page.open("rb") as file:
    return GENERATOR.encode() in file.read(_LENGTH_OF_FIRST_LINES)


def _read(path: pathlib.Path) -> Image.Image:
  """Reads an image as RGB, upright, reduced to at most 800 x 800 pixels."""
  with Image.open(path) as image:
    # Decodes a JPEG at reduced size if that is sufficient.
    image.draft("RGB", (_IMAGE_SIZE, _IMAGE_SIZE))
    upright = ImageOps.exif_transpose(image)
  upright = image_files.to_rgb(upright)
  upright.thumbnail((_IMAGE_SIZE, _IMAGE_SIZE))
  return upright


def _save(image: Image.Image, path: pathlib.Path, quality: int) -> None:
  content = io.BytesIO()
  image.save(content, "JPEG", quality=quality)
  # Pillow itself would truncate a JPEG on a full disk without an error.
  path.write_bytes(content.getvalue())
