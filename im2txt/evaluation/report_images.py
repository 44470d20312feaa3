"""The pictures of a report: copies that a browser shows quickly.

Copies, even of small pictures, are always written anew: what a camera noted in
the file (its place, for one) is left out, and what the file holds besides a
picture is too.
"""

import io
import pathlib

from PIL import Image
from PIL import ImageOps

from im2txt.data import image_files

# The longer side of a thumbnail, in pixels, and of what is seen from near.
_THUMBNAIL_SIZE = 320
_IMAGE_SIZE = 800
_THUMBNAIL_QUALITY = 80
_IMAGE_QUALITY = 85
# Of what is enlarged in the browser.
_SMALL_PICTURE_QUALITY = 95


def write(
    path: pathlib.Path, *, thumbnail: pathlib.Path, image: pathlib.Path
) -> list[pathlib.Path]:
  """Writes a thumbnail of a picture and, if that is smaller, a larger copy.

  Args:
    path: The picture; any format that Pillow reads.
    thumbnail: The JPEG to write, of at most 320 x 320 pixels.
    image: The JPEG to write of a picture larger than that, of at most 800 x
      800 pixels.

  Returns:
    Which of the two were written; none if the picture can't be read.

  Raises:
    OSError: If a copy can't be written.
  """
  try:
    picture = _read(path)
  except (*image_files.UNREADABLE, Image.DecompressionBombError):
    return []
  if max(picture.size) <= _THUMBNAIL_SIZE:
    _save(picture, thumbnail, _SMALL_PICTURE_QUALITY)
    return [thumbnail]
  _save(picture, image, _IMAGE_QUALITY)
  picture.thumbnail((_THUMBNAIL_SIZE, _THUMBNAIL_SIZE))
  _save(picture, thumbnail, _THUMBNAIL_QUALITY)
  return [thumbnail, image]


def _save(picture: Image.Image, path: pathlib.Path, quality: int) -> None:
  content = io.BytesIO()
  picture.save(content, "JPEG", quality=quality)
  # Not by Pillow, which cuts a JPEG short on a full disk without an error.
  path.write_bytes(content.getvalue())


def _read(path: pathlib.Path) -> Image.Image:
  """Reads a picture, upright, at most as large as it is shown."""
  with Image.open(path) as picture:
    # JPEGs are decoded to a fraction of their size, if that is enough.
    picture.draft("RGB", (_IMAGE_SIZE, _IMAGE_SIZE))
    upright = ImageOps.exif_transpose(picture)
  upright = image_files.to_rgb(upright)
  upright.thumbnail((_IMAGE_SIZE, _IMAGE_SIZE))
  return upright
