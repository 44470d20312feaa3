"""Encodes images in other formats, such as PNG and WebP, as JPEGs.

A JPEG stays as it is, byte by byte, as in the released program: the input
pipeline decodes grey-scale and CMYK ones, and knows nothing of EXIF, so that a
photograph whose EXIF says that it lies on its side is seen that way. Another
image is turned upright as its EXIF says, its first frame is taken, put on white
where it is transparent, and encoded in RGB at quality 95.
"""

import io

from PIL import Image
from PIL import ImageOps

from im2txt.data import image_conversion
from im2txt.data import jpeg_check
from im2txt.data import rgb_image

_QUALITY = 95
_JPEG_BEGINNING = b"\xff\xd8"


def problem_of(data: bytes) -> str | None:
  """What is wrong with an image in any format that Pillow reads.

  Args:
    data: The content of a file.

  Returns:
    None for an image that can be decoded whole, else a reason.
  """
  if not data or _is_jpeg(data):
    return jpeg_check.problem_of(data)
  try:
    with Image.open(io.BytesIO(data)) as image:
      _to_rgb(image)
  except Image.DecompressionBombError as error:
    return f"too large: {error}"
  except image_conversion.UNREADABLE as error:
    # Pillow would say where in our memory the image is.
    if isinstance(error, Image.UnidentifiedImageError):
      return "no image that Pillow reads"
    return f"corrupt or truncated: {error}"
  return None


def to_jpeg(data: bytes) -> bytes:
  """The image as a JPEG.

  Args:
    data: The content of a file without problems.

  Returns:
    `data` if it is a JPEG, else a JPEG of what it shows.
  """
  if _is_jpeg(data):
    return data
  content = io.BytesIO()
  with Image.open(io.BytesIO(data)) as image:
    _to_rgb(image).save(content, "JPEG", quality=_QUALITY)
  return content.getvalue()


def _is_jpeg(data: bytes) -> bool:
  return data.startswith(_JPEG_BEGINNING)


def _to_rgb(image: Image.Image) -> Image.Image:
  return rgb_image.on_white(ImageOps.exif_transpose(image))
