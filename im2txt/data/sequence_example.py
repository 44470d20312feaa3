"""Encodes an image-caption pair as a tf.SequenceExample.

    context:       image/image_id     int64
                   image/data         bytes, the image file
    feature_lists: image/caption      bytes each, the words
                   image/caption_ids  int64 each, their ids

The protocol buffer is encoded here by hand, since its class comes only with all
of TensorFlow. Of the wire format (protobuf.dev/programming-guides/encoding) it
needs two kinds: varints, and fields that begin with their length.
"""

from collections.abc import Sequence
import functools

# Field numbers of example.proto and feature.proto; map entries have 1 and 2.
_CONTEXT, _FEATURE_LISTS = 1, 2
_KEY, _VALUE = 1, 2
_BYTES_LIST, _INT64_LIST = 1, 3
_ELEMENT = 1  # Of every message that only repeats something.

_WITH_LENGTH = 2  # The wire type.


def encode(
    image_id: int, image: bytes, words: Sequence[str], word_ids: Sequence[int]
) -> tuple[bytes, bytes, bytes]:
  """Encodes one pair.

  Args:
    image_id: A 64-bit integer.
    image: The encoded image.
    words: The caption with its start and end words.
    word_ids: The ids of `words`; not negative.

  Returns:
    The parts of a serialized tf.train.SequenceExample: what is before the
    image, the image, and the rest. Copying the image would take longer than all
    else here.
  """
  before_image = _before_image(len(image))
  after_image = _map_entry(b"image/image_id", _int64_feature(image_id))
  context_size = len(before_image) + len(image) + len(after_image)
  feature_lists = _map_entry(
      b"image/caption", b"".join(map(_word_element, words))
  ) + _map_entry(b"image/caption_ids", b"".join(map(_id_element, word_ids)))
  return (
      _head(_CONTEXT, context_size) + before_image,
      image,
      after_image + _field(_FEATURE_LISTS, feature_lists),
  )


def _before_image(size: int) -> bytes:
  """Returns the map entry of an image of `size` bytes, up to its data."""
  head = _head(_ELEMENT, size)
  head = _head(_BYTES_LIST, len(head) + size) + head
  head = _head(_VALUE, len(head) + size) + head
  head = _field(_KEY, b"image/data") + head
  return _head(_ELEMENT, len(head) + size) + head


def _map_entry(key: bytes, value: bytes) -> bytes:
  return _field(_ELEMENT, _field(_KEY, key) + _field(_VALUE, value))


# Captions repeat a few thousand words.
@functools.lru_cache(maxsize=1 << 16)
def _word_element(word: str) -> bytes:
  bytes_list = _field(_ELEMENT, word.encode())
  return _field(_ELEMENT, _field(_BYTES_LIST, bytes_list))


@functools.lru_cache(maxsize=1 << 16)
def _id_element(word_id: int) -> bytes:
  return _field(_ELEMENT, _int64_feature(word_id))


def _int64_feature(value: int) -> bytes:
  packed = _varint(value % 2**64)  # Two's complement, as int64 fields are.
  return _field(_INT64_LIST, _field(_ELEMENT, packed))


def _field(number: int, content: bytes) -> bytes:
  return _head(number, len(content)) + content


def _head(number: int, size: int) -> bytes:
  return _varint(number << 3 | _WITH_LENGTH) + _varint(size)


def _varint(value: int) -> bytes:
  """Seven bits a byte, the lowest first; the top bit says that more follow."""
  groups = bytearray()
  while value > 0x7F:
    groups.append(value & 0x7F | 0x80)
    value >>= 7
  groups.append(value)
  return bytes(groups)
