"""Writes TFRecord files without TensorFlow, which takes seconds to import.

Each record is framed as

    uint64 length | uint32 masked CRC-32C of the length | the record |
    uint32 masked CRC-32C of the record

with all integers little-endian.
"""

import functools
import struct
from typing import BinaryIO

import google_crc32c


class RecordWriter:
  """Frames records and writes them to a binary file."""

  def __init__(self, file: BinaryIO):
    self._file = file

  def write(self, *parts: bytes) -> None:
    """Appends one record, given in any number of parts."""
    length = struct.pack("<Q", sum(map(len, parts)))
    self._file.write(length + _masked_crc(length))
    self._file.writelines(parts)
    self._file.write(_masked_crc(*parts))


def _masked_crc(*parts: bytes) -> bytes:
  """Returns the CRC as the format has it: rotated, and a constant added.

  Since the CRC of data that contains its own CRC is always the same.
  """
  crc = functools.reduce(google_crc32c.extend, parts, 0)
  masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
  return struct.pack("<I", masked)
