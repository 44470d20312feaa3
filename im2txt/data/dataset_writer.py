"""Writes a data set of captioned images as sharded TFRecords.

    images --> pairs, shuffled --> shards, a task each --> worker processes

A record is a tf.train.SequenceExample of an image and one of its captions:

    context:       image/image_id     int64
                   image/data         bytes, the image file
    feature_lists: image/caption      bytes each, the words
                   image/caption_ids  int64 each, their ids

so an image with five captions is in five records, anywhere in the data set. The
workers read its file for each of them, usually from the system's cache.

A program that writes shards imports TensorFlow before it starts its workers,
which then share it; otherwise each of them imports it, in 3 CPU-seconds.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
import random
from typing import NamedTuple

from im2txt.data import word_counts
from im2txt.data import worker_pool
from im2txt.runtime import atomic_files

# What the released data set was shuffled with.
_SHUFFLE_SEED = 12345


class TokenizedImage(NamedTuple):
  """An image file and its captions' words, start and end words included."""

  image_id: int
  path: str
  captions: list[list[str]]


class Pair(NamedTuple):
  """An image file and the words of one of its captions."""

  image_id: int
  path: str
  words: list[str]


class WrittenShard(NamedTuple):
  """A shard that is whole."""

  number: int
  path: str
  num_pairs: int


def shuffled_pairs(images: Sequence[TokenizedImage]) -> list[Pair]:
  """Returns pairs of captions and images in the order of writing.

  It is the order of the released code under Python 3; Python 2 shuffles
  differently by the same seed.

  Args:
    images: The images of a data set.

  Returns:
    The shuffled pairs.
  """
  pairs = [
      Pair(image.image_id, image.path, words)
      for image in images
      for words in image.captions
  ]
  random.Random(_SHUFFLE_SEED).shuffle(pairs)
  return pairs


def evenly_spaced(start: int, end: int, num_parts: int) -> list[int]:
  """Bounds of parts of equal size; NumPy's linspace, rounded down.

  Args:
    start: Where the first part begins.
    end: Where the last part ends.
    num_parts: The number of parts.

  Returns:
    `num_parts` + 1 numbers from `start` to `end`. They come from the same
    products as in the released code, and so does each record's shard.
  """
  step = (end - start) / num_parts
  return [int(i * step + start) for i in range(num_parts)] + [end]


def write_shards(
    name: str,
    shards: Sequence[Sequence[Pair]],
    *,
    word_ids: word_counts.WordIds,
    output_dir: str,
    pool: worker_pool.WorkerPool,
    to_jpeg: Callable[[bytes], bytes] | None = None,
) -> Iterator[WrittenShard]:
  """Writes the shards of a data set.

  Args:
    name: Its name, such as "train"; the files are `train-00000-of-00256`, ...
    shards: The pairs of each shard.
    word_ids: Ids of the words.
    output_dir: The folder to write to.
    pool: The processes to write with; without tasks.
    to_jpeg: Makes what is written of an image file's content, if that isn't
      written as it is; see `jpeg_encoding`.

  Yields:
    Each shard as it becomes whole, in any order.
  """
  for number, pairs in enumerate(shards):
    path = Path(output_dir, f"{name}-{number:05d}-of-{len(shards):05d}")
    pool.submit(_write_shard, number, str(path), pairs, word_ids, to_jpeg)
  yield from pool.results()


def _write_shard(
    number: int,
    path: str,
    pairs: Sequence[Pair],
    word_ids: word_counts.WordIds,
    to_jpeg: Callable[[bytes], bytes] | None,
) -> WrittenShard:
  # Here, for programs that end before they write.
  import tensorflow as tf

  with (
      atomic_files.temporary_path(path) as temporary,
      tf.io.TFRecordWriter(temporary) as writer,
  ):
    for pair in pairs:
      image = Path(pair.path).read_bytes()
      writer.write(
          serialize_example(
              pair.image_id,
              to_jpeg(image) if to_jpeg else image,
              pair.words,
              word_ids.of(pair.words),
          )
      )
  return WrittenShard(number, path, len(pairs))


def serialize_example(
    image_id: int, image: bytes, words: Sequence[str], word_ids: Sequence[int]
) -> bytes:
  """Returns the record of an image and one of its captions.

  Args:
    image_id: The image's id, a 64-bit integer.
    image: The encoded image.
    words: The words of the caption, start and end words included.
    word_ids: The ids of `words`.

  Returns:
    The serialized tf.train.SequenceExample; the same bytes for the same values.
  """
  import tensorflow as tf

  # Filled in place, since messages made from messages are copied: that takes
  # 100 instead of 50 microseconds.
  example = tf.train.SequenceExample()
  context = example.context.feature
  context["image/image_id"].int64_list.value.append(image_id)
  context["image/data"].bytes_list.value.append(image)
  feature_lists = example.feature_lists.feature_list
  caption = feature_lists["image/caption"].feature
  for word in words:
    caption.add().bytes_list.value.append(word.encode())
  caption_ids = feature_lists["image/caption_ids"].feature
  for word_id in word_ids:
    caption_ids.add().int64_list.value.append(word_id)
  return example.SerializeToString(deterministic=True)
