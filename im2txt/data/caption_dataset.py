"""Writes a data set of captioned images as sharded TFRecords.

    images --> pairs, shuffled --> shards, a task each --> worker processes

A record holds an image and one of its captions, so an image of five captions is
in five records, anywhere in the data set. The workers read its file for each of
them; the system has it in memory still if the images fit there.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
import random
from typing import NamedTuple

from im2txt.data import sequence_example
from im2txt.data import tfrecord
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
  with atomic_files.create(path) as file:
    writer = tfrecord.RecordWriter(file)
    for pair in pairs:
      data = Path(pair.path).read_bytes()
      writer.write(
          *sequence_example.encode(
              pair.image_id,
              to_jpeg(data) if to_jpeg else data,
              pair.words,
              word_ids.of(pair.words),
          )
      )
  return WrittenShard(number, path, len(pairs))
