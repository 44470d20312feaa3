"""Checks image files of common formats and converts them to JPEGs.

All programs convert images with `to_jpeg`, both to build records and to
generate captions, so that a model sees the same picture everywhere:

- A JPEG is used unchanged, byte by byte. As in the released program, its EXIF
  orientation is ignored unless `respect_exif_orientation` is set.
- For other formats, the first frame is rotated by its EXIF orientation, put on
  a white background where it is transparent, converted to 8-bit RGB, and
  encoded as a JPEG of quality 95. Colour profiles and other metadata are
  ignored, whatever their size or checksum.

The format is recognized by the content, not by the file name.
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

# Exceptions that Pillow raises for files that it can't read: SyntaxError for
# broken PNGs, the last ones for less common formats.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    EOFError,
    struct.error,
    LookupError,
)

# File name suffixes of these formats.
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

# The first bytes of files in these formats.
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_GIF, _BMP, _RIFF, _WEBP = b"GIF8", b"BM", b"RIFF", b"WEBP"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG_2000 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_AVIF = (b"ftypavif", b"ftypavis")

_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
# The chunks of a PNG that are used, besides those with pixels, in order.
_PNG_HEAD = (b"IHDR", b"PLTE", b"tRNS", b"eXIf")
_QUALITY = 95
# Maximum number of pixels of images in other formats than JPEG to train with.
# This is Pillow's own limit.
_MAX_PIXELS = 178_956_970
_ORIENTATION, _UPRIGHT = 0x0112, 1


class Problem(NamedTuple):
  """A file that can't be used, and the reason."""

  path: str
  reason: str


class Checked(NamedTuple):
  """The result of checking some files."""

  num_files: int
  problems: list[Problem]


def to_jpeg(
    encoded_image: bytes,
    *,
    max_pixels: int | None = None,
    respect_exif_orientation: bool = False,
) -> bytes:
  """Converts an image file to the JPEG that a model sees.

  Args:
    encoded_image: The content of an image file in a supported format.
    max_pixels: The maximum number of pixels. It is checked before the image is
      decoded, so that a small file can't make it allocate gigabytes.
    respect_exif_orientation: Whether to apply the EXIF orientation of a JPEG.
      The original does not. In other formats it is always applied.

  Returns:
    A JPEG. A JPEG that need not be rotated is returned unchanged; it may be
    damaged after its header.

  Raises:
    ValueError: If the image has another format, is damaged, or has too many
      pixels.
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
    # Assigned to the same name, so that only one image is in memory.
    image = to_rgb(image)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()


def to_rgb(image: Any) -> Any:
  """Converts a Pillow image to RGB.

  Args:
    image: An image of any mode, which need not be decoded yet.

  Returns:
    The image in 8-bit RGB, rotated by its EXIF orientation, on a white
    background where it is transparent.
  """
  from PIL import Image
  from PIL import ImageOps

  image.load()
  with contextlib.suppress(*UNREADABLE):  # Damaged EXIF data are ignored.
    image = ImageOps.exif_transpose(image)
  if image.mode.startswith("I"):  # 16-bit grey, which Pillow clips at 255.
    image = image.convert("I").point(lambda value: value / 256).convert("L")
  if image.has_transparency_data:
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(white, image)
  return image.convert("RGB")


def num_pixels(encoded_image: bytes) -> int:
  """Returns the number of pixels by the header; 0 if it can't be read.

  Args:
    encoded_image: The content of an image file.
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
    paths: The paths of the files.
    find_problem: Function from the content of a file to a problem or None, such
      as `problem_of` or `jpeg_problem_of`.

  Returns:
    The number of files and those with problems.
  """
  reasons = ((path, _reason(path, find_problem)) for path in paths)
  return Checked(
      len(paths), [Problem(path, reason) for path, reason in reasons if reason]
  )


def problem_of(encoded_image: bytes) -> str | None:
  """Returns why an image can't be used for training; None if it can.

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
  """Returns why a JPEG can't be decoded completely; None if it can.

  All compressed data are decoded, but only to an eighth of the size and in
  grey, which takes two thirds of the time.

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
  # TensorFlow's decoder needs this marker; Pillow's may not read that far.
  if encoded_image.rfind(_END_OF_IMAGE) < encoded_image.rfind(_START_OF_SCAN):
    return "truncated: no end-of-image marker"
  return None


class _UnknownFormatError(ValueError):
  """The content has an unsupported format."""


@contextlib.contextmanager
def _explained() -> Iterator[None]:
  """Converts Pillow's errors for unreadable files to clear messages."""
  from PIL import Image

  try:
    yield
  except Image.DecompressionBombError as error:
    # Pillow's own limit on the memory that it allocates for a header.
    raise ValueError(_TOO_LARGE) from error
  except UNREADABLE as error:
    raise ValueError(PROBLEM) from error


def _open(encoded_image: bytes) -> Any:
  """Reads the header of a file; raises one of `UNREADABLE` if that fails.

  `Image.open` is not used, because it has its own limit of pixels, and supports
  more formats than are safe.
  """
  # Imported here, because Pillow takes 6 MB and most JPEGs do not need it.
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
  """Returns a subclass of Pillow's class for GIFs that prepares no later frame.

  When Pillow reads the header, it allocates the area that is disposed of before
  the second frame, which for a GIF of 43 bytes may be 160 MB.
  """
  # Ignores the disposal method in the file; 0 means to dispose of nothing.
  leave = property(lambda self: 0, lambda self, method: None)
  return type("FirstFrame", (gif_file,), {"disposal_method": leave})


def _is_turned(image: Any) -> bool:
  try:
    return image.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT
  except UNREADABLE:
    return False


def _without_metadata(png: bytes) -> bytes:
  """Returns a PNG without texts, colour profiles and other metadata.

  Pillow rejects a PNG with a megabyte of metadata, or with a wrong checksum.
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
  """Yields the kind and all bytes of each complete chunk."""
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
