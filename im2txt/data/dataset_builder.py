"""Builds TFRecords and a vocabulary from captions and images, in steps.

    with worker_pool.WorkerPool(8) as pool:
      builder = DatasetBuilder(output_dir, num_threads=8, pool=pool, say=print)
      images = builder.load_images(captions_file, image_dir)
      builder.wait_for_checks()
      word_ids = builder.create_vocabulary(images, word_counts_file, ...)
      builder.write_dataset("train", images, 256, word_ids)

Each step reports its progress with the messages of the released program. In
that program, each thread wrote a batch of shards. Here any process writes any
shard, and "thread 0" in a message stands for the first batch.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import datetime
import functools
import itertools
from pathlib import Path
import sys
from typing import Any
from typing import Protocol
from typing import TypeVar

from im2txt.data import caption_sources
from im2txt.data import dataset_writer
from im2txt.data import image_files
from im2txt.data import tokenizer
from im2txt.data import word_counts
from im2txt.data import worker_pool
from im2txt.runtime import atomic_files
from im2txt.runtime import progress

# Number of pairs of a batch between two progress messages.
_PAIRS_PER_LINE = 1000

SKIPPED_IMAGES = "skipped_images.txt"

# Patterns of all files that the builders write to their folder.
OUTPUT_PATTERNS = (
    "*-?????-of-?????",
    SKIPPED_IMAGES,
    "word_counts.txt",
    "image_ids.txt",
    "captions_*.json",
    "dataset.json",
)

# Large enough to make the cost of messages between processes negligible.
_IMAGES_PER_TASK = 32


class BatchReport:
  """A report of the written shards, by batch."""

  def __init__(
      self,
      shard_sizes: Sequence[int],
      shards_per_batch: int,
      say: Callable[[str], None],
  ):
    """Sets up the report.

    Args:
      shard_sizes: The number of pairs of each shard.
      shards_per_batch: The number of shards of each batch.
      say: Called with each line.
    """
    starts = range(0, len(shard_sizes), shards_per_batch)
    self._sizes = [sum(shard_sizes[i : i + shards_per_batch]) for i in starts]
    self._shards_per_batch = shards_per_batch
    self._say = say
    self._num_pairs = [0] * len(starts)
    self._num_shards = [0] * len(starts)

  def add(self, shard: dataset_writer.WrittenShard) -> None:
    """Reports a written shard and the progress of its batch."""
    batch = shard.number // self._shards_per_batch
    before = self._num_pairs[batch]
    after = before + shard.num_pairs
    self._num_pairs[batch] = after
    self._num_shards[batch] += 1
    lines = [f"Wrote {shard.num_pairs} image-caption pairs to {shard.path}"]
    if after // _PAIRS_PER_LINE > before // _PAIRS_PER_LINE:
      lines.insert(
          0,
          f"Processed {after} of {self._sizes[batch]} items in thread batch.",
      )
    if self._num_shards[batch] == self._shards_per_batch:
      lines.append(
          f"Wrote {after} image-caption pairs to"
          f" {self._shards_per_batch} shards."
      )
    for line in lines:
      self._say(f"{datetime.datetime.now()} [thread {batch}]: {line}")


class _HasPath(Protocol):
  """An object with the path of an image."""

  @property
  def path(self) -> str:
    """The path."""


_Image = TypeVar("_Image", bound=_HasPath)


class DatasetBuilder:
  """A builder of data sets that checks each image once.

  Attributes:
    skipped: Paths of the images to leave out; set by `wait_for_checks`.
  """

  def __init__(
      self,
      output_dir: str,
      *,
      num_threads: int,
      pool: worker_pool.WorkerPool,
      say: Callable[[str], None],
      encodes_jpegs: bool = False,
      respect_exif_orientation: bool = False,
  ):
    """Sets up the builder.

    Args:
      output_dir: The folder of the TFRecords, which must exist.
      num_threads: The number of batches of shards. The released program had one
        thread per batch.
      pool: The processes that check images and write TFRecords.
      say: Called with each line of the report.
      encodes_jpegs: Whether to encode images in other formats as JPEGs. If
        false, these are skipped, as by the released program.
      respect_exif_orientation: Whether to apply the EXIF orientation of JPEGs;
        see `image_files`.
    """
    self._output_dir = output_dir
    self._num_threads = num_threads
    self._pool = pool
    self._say = say
    self._find_problem = (
        image_files.problem_of if encodes_jpegs else image_files.jpeg_problem_of
    )
    self._to_jpeg = None
    if encodes_jpegs or respect_exif_orientation:
      self._to_jpeg = functools.partial(
          image_files.to_jpeg,
          respect_exif_orientation=respect_exif_orientation,
      )
    self._submitted: set[str] = set()
    self.skipped: set[str] = set()

  def load_images(
      self,
      captions_file: str,
      image_dir: str,
      *,
      start_word: str = "<S>",
      end_word: str = "</S>",
  ) -> list[dataset_writer.TokenizedImage]:
    """Loads and tokenizes captions, while the pool checks the images."""
    images = caption_sources.load_captions(captions_file, image_dir)
    self._say(
        f"Loaded caption metadata for {len(images)} images from {captions_file}"
    )
    self.check_images(images)
    return self.split_captions(
        images,
        captions_file,
        split=tokenizer.tokenize,
        start_word=start_word,
        end_word=end_word,
    )

  def check_images(
      self, images: Iterable[caption_sources.CaptionedImage]
  ) -> None:
    """Starts to check those images that are not checked yet."""
    new = [
        path
        for path in dict.fromkeys(image.path for image in images)
        if path not in self._submitted
    ]
    self._submitted.update(new)
    for start in range(0, len(new), _IMAGES_PER_TASK):
      self._pool.submit(
          image_files.check_files,
          new[start : start + _IMAGES_PER_TASK],
          self._find_problem,
      )

  def split_captions(
      self,
      images: Sequence[caption_sources.CaptionedImage],
      source: str,
      *,
      split: Callable[[str], list[str]],
      start_word: str = "<S>",
      end_word: str = "</S>",
  ) -> list[dataset_writer.TokenizedImage]:
    """Splits captions into words.

    Args:
      images: The images.
      source: The origin of the captions, for the report.
      split: Function from a caption to its words; see `tokenizer.TOKENIZERS`.
      start_word: The word to put before each caption.
      end_word: The word to put after each caption.

    Returns:
      The images, with the words of their captions.
    """
    self._say("Processing captions.")
    tokenized = [
        dataset_writer.TokenizedImage(
            image.image_id,
            image.path,
            [
                [start_word, *split(caption), end_word]
                for caption in image.captions
            ],
        )
        for image in images
    ]
    num_captions = sum(len(image.captions) for image in images)
    self._say(
        f"Finished processing {num_captions} captions for {len(images)} images"
        f" in {source}"
    )
    return tokenized

  def create_vocabulary(
      self,
      images: Sequence[dataset_writer.TokenizedImage],
      word_counts_file: str,
      *,
      min_word_count: int,
  ) -> word_counts.WordIds:
    """Writes the vocabulary of the captions, without those of skipped images.

    Args:
      images: The images to train with.
      word_counts_file: The file to write.
      min_word_count: The minimum number of occurrences of a word.

    Returns:
      The ids of the vocabulary.

    Raises:
      ValueError: If there are fewer captions than `min_word_count`, so that the
        vocabulary would not even contain the start and the end word.
    """
    images = self.kept(images)
    num_captions = sum(len(image.captions) for image in images)
    if num_captions < min_word_count:
      raise ValueError(
          f"A word that occurs once in each of the {num_captions} captions to"
          f" train with is too rare for --min_word_count={min_word_count}."
      )
    self._say("Creating vocabulary.")
    counts = word_counts.count_words(
        words for image in images for words in image.captions
    )
    self._say(f"Total words: {len(counts)}")
    frequent = [entry for entry in counts if entry[1] >= min_word_count]
    self._say(f"Words in vocabulary: {len(frequent)}")
    word_counts.write(word_counts_file, frequent)
    self._say(f"Wrote vocabulary file: {word_counts_file}")
    return word_counts.WordIds.of_counts(frequent)

  def kept(self, images: Sequence[_Image]) -> list[_Image]:
    """Returns the images that are not skipped."""
    return [image for image in images if image.path not in self.skipped]

  def wait_for_checks(self) -> None:
    """Waits until all images are checked, and lists those to skip.

    Raises:
      ValueError: If no image can be used.
    """
    num_images = len(self._submitted)
    problems = []
    with _progress_bar("Checking", num_images, " images") as bar:
      for checked in self._pool.results():
        bar.update(checked.num_files)
        for problem in checked.problems:
          problems.append(problem)
          self._say(_skipping(problem))
    path = str(Path(self._output_dir, SKIPPED_IMAGES))
    with atomic_files.create(path) as file:
      for problem in sorted(problems):
        file.write(f"{problem.path}\t{problem.reason}\n".encode())
    if problems and len(problems) == num_images:
      raise ValueError(
          f"None of the {num_images} images can be used; the first,"
          f" {problems[0].path}, is {problems[0].reason}. See {path}."
      )
    if problems:
      self._say(
          f"Skipping {len(problems)} of {num_images} images, listed in {path}"
      )
    self.skipped = {problem.path for problem in problems}

  def write_dataset(
      self,
      name: str,
      images: Sequence[dataset_writer.TokenizedImage],
      num_shards: int,
      word_ids: word_counts.WordIds,
  ) -> int:
    """Writes the TFRecords of a data set.

    Args:
      name: The name of the data set, such as "train".
      images: The images of the data set.
      num_shards: The number of files; see `check_num_shards`.
      word_ids: The ids of the vocabulary.

    Returns:
      The number of pairs written.
    """
    pairs = dataset_writer.shuffled_pairs(images)
    num_threads = min(num_shards, self._num_threads)
    spacing = dataset_writer.evenly_spaced(0, len(pairs), num_threads)
    batches = list(itertools.pairwise(spacing))
    self._say(
        f"Launching {num_threads} threads for spacings:"
        f" {[list(batch) for batch in batches]}"
    )
    shards_per_batch = num_shards // num_threads
    shards = [
        self.kept(pairs[start:end])
        for batch in batches
        for start, end in itertools.pairwise(
            dataset_writer.evenly_spaced(*batch, shards_per_batch)
        )
    ]
    sizes = [len(pairs) for pairs in shards]
    report = BatchReport(sizes, shards_per_batch, self._say)
    num_written = 0
    with _progress_bar(f"Writing {name}", sum(sizes), " pairs") as bar:
      for shard in dataset_writer.write_shards(
          name,
          shards,
          word_ids=word_ids,
          output_dir=self._output_dir,
          pool=self._pool,
          to_jpeg=self._to_jpeg,
      ):
        num_written += shard.num_pairs
        bar.update(shard.num_pairs)
        report.add(shard)
    self._say(
        f"{datetime.datetime.now()}: Finished processing all {num_written}"
        f" image-caption pairs in data set '{name}'."
    )
    return num_written


def check_num_shards(name: str, num_shards: int, num_threads: int) -> None:
  """Raises a ValueError if the shards can't be divided into equal batches."""
  if num_shards > num_threads and num_shards % num_threads:
    raise ValueError(
        "Please make the FLAGS.num_threads commensurate with"
        f" FLAGS.{name}_shards: {num_shards} is neither smaller than"
        f" {num_threads} nor a multiple of it."
    )


def _skipping(problem: image_files.Problem) -> str:
  if problem.reason == image_files.MISSING:
    return f"Skipping missing file: {problem.path}"
  return f"Skipping file with invalid JPEG data: {problem.path}"


def _progress_bar(title: str, total: int, unit: str) -> Any:
  """Returns a bar that is shown on terminals only; logs have `say`'s lines."""
  return progress.bar(
      title, total, is_shown=sys.stderr.isatty(), unit=unit, leave=False
  )
