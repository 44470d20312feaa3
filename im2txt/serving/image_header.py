"""Says from its first bytes whether an image is one to decode.

A file of a few kilobytes can hold an image of gigabytes. Its size stands in its
header, so nothing needs to be decoded in order to refuse it.
"""

import io

from PIL import ImageFile
from PIL import JpegImagePlugin
from PIL import PngImagePlugin


def problem_of(data: bytes, *, max_pixels: int) -> str | None:
  """Why an image is not to be decoded.

  Args:
    data: The content of a file.
    max_pixels: The most pixels that are allowed.

  Returns:
    None for a JPEG or PNG that is small enough, else a sentence. What comes
    after the header may still be damaged.
  """
  if not data:
    return "It is empty."
  # Not Image.open, which takes other formats and warns of large images.
  read: type[ImageFile.ImageFile]
  if data.startswith(b"\xff\xd8"):
    read = JpegImagePlugin.JpegImageFile
  elif data.startswith(b"\x89PNG\r\n\x1a\n"):
    read = PngImagePlugin.PngImageFile
  else:
    return "It is no JPEG or PNG image."
  try:
    width, height = read(io.BytesIO(data)).size
  except (SyntaxError, OSError, ValueError, OverflowError):
    return "It is a damaged JPEG or PNG image."
  if width * height > max_pixels:
    return (
        f"It has {width} x {height} pixels; at most {max_pixels:,} pixels are"
        " allowed."
    )
  return None
