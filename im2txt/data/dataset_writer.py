"""Writes a data set of captioned images as sharded TFRecords.

    images --> shuffled pairs --> shards, one task each --> worker processes

A record is a tf.train.SequenceExample of an image and one of its captions:

    context:       image/image_id     int64
                   image/data         bytes; the image file
    feature_lists: image/caption      bytes; the words
                   image/caption_ids  int64; the ids of the words

So an image with five captions is in five records, which may be anywhere in the
data set. The workers read the image file for each of them, usually from the
system's cache.

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

# The seed that the released data set was shuffled with.
_SHUFFLE_SEED = 12345


class TokenizedImage(NamedTuple):
  """An image file and the words of each caption, with start and end word."""

  image_id: int
  path: str
  captions: list[list[str]]


class Pair(NamedTuple):
  """An image file and the words of one of its captions."""

  image_id: int
  path: str
  words: list[str]


class WrittenShard(NamedTuple):
  """A shard that is completely written."""

  number: int
  path: str
  num_pairs: int


def shuffled_pairs(images: Sequence[TokenizedImage]) -> list[Pair]:
  """Returns the image-caption pairs in the order of writing.

  This is the order of the released code under Python 3. With the same seed,
  Python 2 shuffles differently.

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
  """Returns bounds of parts of equal size, as NumPy's linspace, rounded down.

  The products are those of the released code, so each record gets into the same
  shard as there.

  Args:
    start: The start of the first part.
    end: The end of the last part.
    num_parts: The number of parts.

  Returns:
    `num_parts` + 1 numbers from `start` to `end`.
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
    name: The name of the data set, such as "train". The files are then
      `train-00000-of-00256` etc.
    shards: The pairs of each shard.
    word_ids: The ids of the words.
    output_dir: The folder to write to.
    pool: The processes that write; must have no pending tasks.
    to_jpeg: Optional function from the content of an image file to the JPEG to
      write. By default, the content is written unchanged.

  Yields:
    Each shard when it is complete, in any order.
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
  # Imported here, for programs that end before they write.
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
    words: The words of the caption, with start and end word.
    word_ids: The ids of `words`.

  Returns:
    The serialized tf.train.SequenceExample. Equal arguments result in equal
    bytes.
  """
  import tensorflow as tf

  # Messages that are passed to a constructor are copied, so filling this one in
  # place takes half the time.
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
