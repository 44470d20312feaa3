"""Image files of the usual formats, as the JPEGs that a model sees.

All ways into a model go through `to_jpeg`, when records are built as well as
when captions are made, so that a file is the same picture everywhere:

- A JPEG stays as it is, byte by byte. As in the released program, a photograph
  whose EXIF says that it lies on its side is seen lying, unless
  `respect_exif_orientation` asks for it upright.
- Of any other format the first frame is taken, turned upright as its EXIF says,
  put on white where it is transparent, reduced to 8 bits in RGB, and encoded as
  a JPEG of quality 95. Colour profiles and other metadata are ignored, whatever
  their size or checksum.

The format is recognized by the content, not by the name.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import io
from pathlib import Path
import struct
from typing import Any
from typing import NamedTuple
import zlib

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

# How the names of files in these formats end.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".jp2", ".j2k", ".avif"),
)
PROBLEM = (
    "Not a valid JPEG, PNG, WebP, GIF, BMP, TIFF, JPEG 2000 or AVIF image."
)
MISSING = "missing"
_EMPTY = "It is empty."
_TOO_LARGE = "It has too many pixels."

# What files of the formats begin with.
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_GIF, _BMP, _RIFF, _WEBP = b"GIF8", b"BM", b"RIFF", b"WEBP"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG_2000 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_AVIF = (b"ftypavif", b"ftypavis")

_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
# Chunks of a PNG that matter here besides those with pixels, in their order.
_PNG_HEAD = (b"IHDR", b"PLTE", b"tRNS", b"eXIf")
_QUALITY = 95
# Of images to train with that are not JPEGs; Pillow's own limit.
_MAX_PIXELS = 178_956_970
_ORIENTATION, _UPRIGHT = 0x0112, 1


class Problem(NamedTuple):
  """A file that can't be used, and why."""

  path: str
  reason: str


class Checked(NamedTuple):
  """What came of checking some files."""

  num_files: int
  problems: list[Problem]


def to_jpeg(
    encoded_image: bytes,
    *,
    max_pixels: int | None = None,
    respect_exif_orientation: bool = False,
) -> bytes:
  """Turns an image file into the JPEG that a model sees.

  Args:
    encoded_image: An image file in one of the formats of the module.
    max_pixels: The most pixels that the image may have, by what the file says
      before it is decoded; so that a small file can't claim gigabytes.
    respect_exif_orientation: Whether to turn a JPEG upright as its EXIF says.
      The original does not. Other formats are turned in any case.

  Returns:
    A JPEG; the file itself if it is one that is not to be turned. Then it may
    be damaged beyond its head.

  Raises:
    ValueError: If it is not such an image, is damaged, or has too many pixels.
  """
  if not encoded_image:
    raise ValueError(_EMPTY)
  is_jpeg = encoded_image.startswith(_JPEG)
  if is_jpeg and max_pixels is None and not respect_exif_orientation:
    return encoded_image
  with _explained():
    image = _open(encoded_image)
  width, height = image.size
  if max_pixels is not None and width * height > max_pixels:
    raise ValueError(
        f"It has {width} x {height} pixels, more than the {max_pixels:,} that"
        " are allowed."
    )
  with _explained():
    if is_jpeg and not (respect_exif_orientation and _is_turned(image)):
      return encoded_image
    # Under the same name, so that no more than one is in memory.
    image = to_rgb(image)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()


def to_rgb(image: Any) -> Any:
  """Returns an image of Pillow as people see it.

  Args:
    image: An image of any mode, whose file may not be decoded yet.

  Returns:
    The image upright, in 8 bits and RGB, on white where it is transparent.
  """
  from PIL import Image
  from PIL import ImageOps

  image.load()
  with contextlib.suppress(*UNREADABLE):  # Damaged EXIF is as good as none.
    image = ImageOps.exif_transpose(image)
  if image.mode.startswith("I"):  # Grey of 16 bits: Pillow would cut it at 255.
    image = image.convert("I").point(lambda value: value / 256).convert("L")
  if image.has_transparency_data:
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(white, image)
  return image.convert("RGB")


def num_pixels(encoded_image: bytes) -> int:
  """Returns the pixels of an image file by what it says; 0 if it can't be read.

  Args:
    encoded_image: See `convert`.
  """
  try:
    with _explained():
      width, height = _open(encoded_image).size
  except ValueError:
    return 0
  return width * height


def check_files(
    paths: Sequence[str], find_problem: Callable[[bytes], str | None]
) -> Checked:
  """Reads and checks each file.

  Args:
    paths: The files.
    find_problem: Returns what is wrong with a file's content, as `problem_of`
      and `jpeg_problem_of` do.

  Returns:
    What is wrong with which files.
  """
  reasons = ((path, _reason(path, find_problem)) for path in paths)
  return Checked(
      len(paths), [Problem(path, reason) for path, reason in reasons if reason]
  )


def problem_of(encoded_image: bytes) -> str | None:
  """Returns why an image can't be trained with; None if it can.

  Args:
    encoded_image: The content of a file.
  """
  if not encoded_image or encoded_image.startswith(_JPEG[:2]):
    return jpeg_problem_of(encoded_image)
  try:
    with _explained():
      image = _open(encoded_image)
      if image.width * image.height > _MAX_PIXELS:
        return f"too large: {image.width} x {image.height} pixels"
      to_rgb(image)
  except ValueError as error:
    cause = error.__cause__
    if isinstance(cause, _UnknownFormatError) or cause is None:
      return str(error)
    return f"corrupt or truncated: {cause}"
  return None


def jpeg_problem_of(encoded_image: bytes) -> str | None:
  """Returns why a JPEG can't be decoded whole; None if it can.

  All of the compressed data is decoded, but only to an eighth of the image's
  size and without colours, which takes two thirds of the time.

  Args:
    encoded_image: The content of a file.
  """
  from PIL import JpegImagePlugin

  if not encoded_image:
    return "empty"
  try:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(encoded_image))
    image.draft("L", (1, 1))
    image.load()
  except SyntaxError as error:  # What Pillow raises for other formats.
    return f"not a JPEG: {error}"
  except (OSError, ValueError) as error:
    return f"corrupt or truncated: {error}"
  # TensorFlow's decoder needs this marker, Pillow's may not read so far.
  if encoded_image.rfind(_END_OF_IMAGE) < encoded_image.rfind(_START_OF_SCAN):
    return "truncated: no end-of-image marker"
  return None


class _UnknownFormatError(ValueError):
  """The content is not of a format of this module."""


@contextlib.contextmanager
def _explained() -> Iterator[None]:
  """Turns what Pillow raises for a file that it can't read into a sentence."""
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

  Not by `Image.open`, which has a limit of pixels of its own, and more formats
  than are safe.
  """
  # Only here, as the usual images need no Pillow, which takes 6 MB.
  from PIL import AvifImagePlugin
  from PIL import BmpImagePlugin
  from PIL import GifImagePlugin
  from PIL import Jpeg2KImagePlugin
  from PIL import JpegImagePlugin
  from PIL import PngImagePlugin
  from PIL import TiffImagePlugin
  from PIL import WebPImagePlugin

  file = io.BytesIO(encoded_image)
  if encoded_image.startswith(_JPEG):
    return JpegImagePlugin.JpegImageFile(file)
  if encoded_image.startswith(_PNG):
    return PngImagePlugin.PngImageFile(
        io.BytesIO(_without_metadata(encoded_image))
    )
  if encoded_image.startswith(_GIF):
    return _first_frame(GifImagePlugin.GifImageFile)(file)
  if encoded_image.startswith(_BMP):
    return BmpImagePlugin.BmpImageFile(file)
  if encoded_image.startswith(_RIFF) and encoded_image[8:12] == _WEBP:
    return WebPImagePlugin.WebPImageFile(file)
  if encoded_image.startswith(_TIFF):
    return TiffImagePlugin.TiffImageFile(file)
  if encoded_image.startswith(_JPEG_2000):
    return Jpeg2KImagePlugin.Jpeg2KImageFile(file)
  if encoded_image[4:12] in _AVIF:
    return AvifImagePlugin.AvifImageFile(file)
  raise _UnknownFormatError("unknown format")


def _first_frame(gif_file: type) -> type:
  """Returns Pillow's class for GIFs, without what it does for later frames.

  As it reads the head, that makes room for what covers the first frame then: of
  43 bytes, 160 MB.
  """
  # What it sets as the file tells it; 0 is to leave the frame as it is.
  leave = property(lambda self: 0, lambda self, method: None)
  return type("FirstFrame", (gif_file,), {"disposal_method": leave})


def _is_turned(image: Any) -> bool:
  try:
    return image.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT
  except UNREADABLE:
    return False


def _without_metadata(png: bytes) -> bytes:
  """Returns a PNG without its texts, profiles and the like.

  Pillow refuses a PNG with a megabyte of them, or with a wrong checksum.
  """
  chunks: dict[bytes, list[memoryview]] = {b"IDAT": [], b"IEND": []}
  for kind, chunk in _png_chunks(png):
    if kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND") or (
        zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
    ):
      chunks.setdefault(kind, []).append(chunk)
  if not chunks[b"IDAT"] or not chunks[b"IEND"]:
    raise ValueError("truncated PNG")
  kept = [
      c for kind in (*_PNG_HEAD, b"IDAT", b"IEND") for c in chunks.get(kind, ())
  ]
  return b"".join([_PNG, *kept])


def _png_chunks(png: bytes) -> Iterator[tuple[bytes, memoryview]]:
  """Yields the kind and all bytes of each whole chunk up to the end."""
  start = len(_PNG)
  view = memoryview(png)
  while start + 12 <= len(png):
    length, kind = struct.unpack_from(">I4s", png, start)
    end = start + 12 + length
    if end > len(png):
      return
    yield kind, view[start:end]
    if kind == b"IEND":
      return
    start = end


def _reason(
    path: str, find_problem: Callable[[bytes], str | None]
) -> str | None:
  try:
    return find_problem(Path(path).read_bytes())
  except FileNotFoundError:
    return MISSING
  except OSError as error:
    return f"can't be read: {error.strerror}"
