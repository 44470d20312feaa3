"""Image files of the usual formats, as the JPEG or PNG files that models take.

The decoder in a model's graph, also in one frozen long ago, takes JPEG and PNG.
A WebP, GIF or BMP file is therefore turned into a PNG, which loses nothing. The
format is told by the content, not by a name; of several frames the first is
taken, and what is transparent has the colour that it hides, as in a PNG.
"""

from collections.abc import Iterator
import contextlib
import io
import struct
from typing import Any

# What Pillow raises for files that it can't read; SyntaxError is of broken
# PNGs, and the others come from the depths of rarer formats.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    EOFError,
    struct.error,
    LookupError,
)

_EMPTY = "It is empty."
_TOO_LARGE = "It has too many pixels."
PROBLEM = "It is no JPEG, PNG, WebP, GIF or BMP image, or a damaged one."

# What such files begin with.
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_GIF, _BMP, _RIFF, _WEBP = b"GIF8", b"BM", b"RIFF", b"WEBP"

_ORIENTATION, _UPRIGHT = 0x0112, 1


def convert(
    encoded_image: bytes,
    *,
    max_pixels: int | None = None,
    respect_exif_orientation: bool = False,
) -> bytes:
  """Turns an image file into one that a model can decode.

  Args:
    encoded_image: A JPEG, PNG, WebP, GIF or BMP file.
    max_pixels: The most pixels that the image may have, by what the file says
      before it is decoded; so that a small file can't claim gigabytes.
    respect_exif_orientation: Whether to turn an image upright that is noted to
      lie or to be mirrored, as cameras do. The original does not.

  Returns:
    A JPEG or PNG file. It is the one given, if that is a JPEG or PNG that need
    not be turned. Then it may be damaged beyond its head.

  Raises:
    ValueError: If it is no such image or a damaged one, or has too many pixels.
  """
  if not encoded_image:
    raise ValueError(_EMPTY)
  is_native = encoded_image.startswith((_JPEG, _PNG))
  if is_native and max_pixels is None and not respect_exif_orientation:
    return encoded_image
  # Only now, as the usual images need no Pillow, which takes 6 MB.
  from PIL import ImageOps

  from im2txt.data import plain_png
  from im2txt.data import rgb_image

  with _explained():
    image = _open(encoded_image)
  width, height = image.size
  if max_pixels is not None and width * height > max_pixels:
    raise ValueError(
        f"It has {width} x {height} pixels, more than the {max_pixels:,} that"
        " are allowed."
    )
  with _explained():
    is_turned = respect_exif_orientation and _is_turned(image)
    if is_native and not is_turned:
      return encoded_image
    if is_turned:
      image = ImageOps.exif_transpose(image)
    # Under the same name, so that no more than one is in memory.
    image = rgb_image.convert(image)
    return plain_png.encode(image)


def num_pixels(encoded_image: bytes) -> int:
  """The pixels of an image file by what it says; 0 if it can't be read."""
  try:
    with _explained():
      width, height = _open(encoded_image).size
  except ValueError:
    return 0
  return width * height


@contextlib.contextmanager
def _explained() -> Iterator[None]:
  """Says of a file that Pillow can't read that it is none or damaged."""
  from PIL import Image

  try:
    yield
  except Image.DecompressionBombError as error:
    # Its own limit, of what it makes room for as it reads a head.
    raise ValueError(_TOO_LARGE) from error
  except UNREADABLE as error:
    raise ValueError(PROBLEM) from error


def _open(encoded_image: bytes) -> Any:
  """Reads the head of a file; raises one of `UNREADABLE` if it can't.

  Not by `Image.open`, which has a limit of pixels of its own.
  """
  from PIL import BmpImagePlugin
  from PIL import GifImagePlugin
  from PIL import JpegImagePlugin
  from PIL import PngImagePlugin
  from PIL import WebPImagePlugin

  file = io.BytesIO(encoded_image)
  if encoded_image.startswith(_JPEG):
    return JpegImagePlugin.JpegImageFile(file)
  if encoded_image.startswith(_PNG):
    return PngImagePlugin.PngImageFile(file)
  if encoded_image.startswith(_GIF):
    return _first_frame(GifImagePlugin.GifImageFile)(file)
  if encoded_image.startswith(_BMP):
    return BmpImagePlugin.BmpImageFile(file)
  if encoded_image.startswith(_RIFF) and encoded_image[8:12] == _WEBP:
    return WebPImagePlugin.WebPImageFile(file)
  raise ValueError("It begins as no image that is known.")


def _first_frame(gif_file: type) -> type:
  """Pillow's class for GIFs, without what it does for the second frame.

  As it reads the head, that makes room for what covers the first frame then: of
  43 bytes, 160 MB.
  """
  # What it sets as the file tells it; 0 is to leave the frame as it is.
  leave = property(lambda self: 0, lambda self, method: None)
  return type("FirstFrame", (gif_file,), {"disposal_method": leave})


def _is_turned(image: Any) -> bool:
  return image.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT
