"""PNG files that are quick to write and to read again, however large.

Pillow's encoder tries five filters on each row even without compression. Here
rows are stored as they are: for a file that is decoded at once and thrown away.
"""

import io
import struct
from typing import BinaryIO
import zlib

from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# 8 bits, red green and blue, and the only methods that there are.
_RGB_OF_8_BITS = bytes([8, 2, 0, 0, 0])
_NO_FILTER = b"\0"
# In bytes; strips are all that is copied besides the file.
_STRIP_SIZE = 2**20


def encode(image: Image.Image) -> bytes:
  """The PNG file of an image.

  Args:
    image: An image of Pillow's mode "RGB".

  Returns:
    The file, a little larger than the pixels.
  """
  width, height = image.size
  num_rows = max(1, _STRIP_SIZE // (3 * width))
  compressor = zlib.compressobj(level=0)
  file = io.BytesIO()
  file.write(_SIGNATURE)
  head = struct.pack(">II", width, height) + _RGB_OF_8_BITS
  _write_chunk(file, b"IHDR", head)
  for top in range(0, height, num_rows):
    strip = image.crop((0, top, width, min(top + num_rows, height))).tobytes()
    rows = b"".join(
        _NO_FILTER + strip[start : start + 3 * width]
        for start in range(0, len(strip), 3 * width)
    )
    _write_chunk(file, b"IDAT", compressor.compress(rows))
  _write_chunk(file, b"IDAT", compressor.flush())
  _write_chunk(file, b"IEND", b"")
  return file.getvalue()


def _write_chunk(file: BinaryIO, kind: bytes, content: bytes) -> None:
  """Writes a chunk: its length, its kind, its content and a checksum."""
  checksum = zlib.crc32(content, zlib.crc32(kind))
  file.write(struct.pack(">I", len(content)) + kind)
  file.write(content)
  file.write(struct.pack(">I", checksum))
