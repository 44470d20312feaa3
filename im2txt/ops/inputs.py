"""Feeds image-caption pairs from TFRecords to the model, in padded batches.

    TFRecords -> shuffle -> parse -> decode, distort -> pad -> Batch

Training batches never end. Which examples they hold, in which order, and how
each image is distorted depends only on the seed, so training resumes with
exactly the batch at which it stopped. Evaluation reads the files once.
"""

from collections.abc import Callable
from collections.abc import Sequence
import fnmatch
import functools
import os
import re
from typing import NamedTuple

from absl import logging
import tensorflow as tf

from im2txt.ops import example_order
from im2txt.ops import tfrecords

# `image_processing.process_image` with its sizes and format filled in: takes
# the encoded image and, by keyword, is_training, thread_id and seed.
ProcessImage = Callable[..., tf.Tensor]

# Where the builder keeps the encoded image and the word ids.
IMAGE_FEATURE = "image/data"
CAPTION_FEATURE = "image/caption_ids"

_BATCHES_AHEAD = 2

_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})", re.DOTALL)
# How many missing shards a message names.
_MISSING_NAMED = 3


def training_records(
    files: Sequence[str],
    order: example_order.TrainingOrder,
    *,
    caption_feature: str = CAPTION_FEATURE,
) -> tf.data.Dataset:
  """Returns records in the order in which `training_batches` uses them.

  Args:
    files: Names of TFRecord files.
    order: The order in which to read the records.
    caption_feature: The feature list that holds the word ids.

  Returns:
    An infinite Dataset of `tfrecords.Record`, those of the order's shard.

  Raises:
    ValueError: See `TrainingOrder.examples`.
  """

  def lengths(window: tfrecords.Record) -> tf.Tensor:
    ids = tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True)
    *_, num_ids = tf.io.parse_sequence_example(
        window.serialized, sequence_features={caption_feature: ids}
    )
    return num_ids[caption_feature]

  return order.examples(
      files, read=tfrecords.read, count=tfrecords.count_records, lengths=lengths
  )


class Batch(NamedTuple):
  """Captions as the decoder sees them, and their images.

      caption      <S>  a   dog  </S>
      input_seqs   <S>  a   dog   0
      target_seqs   a  dog  </S>  0
      input_mask    1   1    1    0

  Attributes:
    images: A float32 Tensor of shape [batch_size, height, width, 3], or of
      shape [batch_size, feature_size] if they are the encoder's features.
    input_seqs: An int64 Tensor of shape [batch_size, padded_length].
    target_seqs: An int64 Tensor of shape [batch_size, padded_length].
    input_mask: An int32 Tensor of shape [batch_size, padded_length]; 1 at
      words. The padding, 0, is the id of a word too.
  """

  images: tf.Tensor
  input_seqs: tf.Tensor
  target_seqs: tf.Tensor
  input_mask: tf.Tensor


def input_files(
    pattern: str,
    feature_pattern: str = "",
    *,
    allow_missing_shards: bool = False,
) -> list[str]:
  """Returns the files that match any of the comma-separated patterns, sorted.

  Args:
    pattern: For example "/data/train-?????-of-00256,/more/train-*".
    feature_pattern: The patterns to use instead, unless empty: those of cached
      features.
    allow_missing_shards: Whether to accept a part of the shards of a data set.

  Returns:
    The names of the files, each once.

  Raises:
    FileNotFoundError: If no file matches, or a shard is missing that would.
    ValueError: If the files are shards of several builds of a data set.
  """
  flag = "--input_file_pattern"
  if feature_pattern:
    flag, pattern = "--input_feature_pattern", feature_pattern
  patterns = [part.strip() for part in pattern.split(",") if part.strip()]
  files = sorted({f for part in patterns for f in tf.io.gfile.glob(part)})
  if not files:
    raise FileNotFoundError(f"No TFRecord matches {flag}. Got: {pattern!r}.")
  _check_shards(files, patterns, flag, allow_missing_shards)
  logging.info(
      "Prefetching values from %d files matching %s", len(files), pattern
  )
  return files


def _check_shards(
    files: Sequence[str],
    patterns: Sequence[str],
    flag: str,
    allow_missing_shards: bool,
) -> None:
  """Checks that files are all shards of one build of each data set.

  The name of a shard, train-00000-of-00256, says how many there are. A missing
  one that no pattern would match was left out on purpose.
  """
  counts: dict[str, dict[int, str]] = {}
  for match in filter(None, map(_SHARD.fullmatch, files)):
    counts.setdefault(match[1], {}).setdefault(int(match[2]), match[0])
  for data_set, examples in counts.items():
    if len(examples) > 1:
      first, second, *_ = (examples[count] for count in sorted(examples))
      raise ValueError(
          f"{first} and {second} are shards of different builds of {data_set}."
          f" Delete the old ones, or give a narrower {flag}."
      )
  expected = [
      f"{data_set}-{i:05d}-of-{count:05d}"
      for data_set, examples in counts.items()
      for count in examples
      for i in range(count)
  ]
  missing = [
      name
      for name in sorted({*expected}.difference(files))
      if any(
          fnmatch.fnmatchcase(os.path.normpath(name), os.path.normpath(pattern))
          for pattern in patterns
      )
  ]
  if not missing:
    return
  names = ", ".join(missing[:_MISSING_NAMED])
  more = len(missing) - _MISSING_NAMED
  text = f"{names} and {more} more" if more > 0 else names
  if allow_missing_shards:
    logging.warning("Reading a part of the data set. Missing: %s.", text)
    return
  raise FileNotFoundError(
      f"The data set is incomplete. Missing: {text}. To read the other shards"
      f" all the same, give --allow_missing_shards, or a narrower {flag}."
  )


def parse_sequence_example(
    serialized: tf.Tensor,
    *,
    image_feature: str = IMAGE_FEATURE,
    caption_feature: str = CAPTION_FEATURE,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Reads an image and its caption from a serialized SequenceExample.

  Args:
    serialized: A scalar string Tensor.
    image_feature: The context feature that holds the encoded image.
    caption_feature: The feature list that holds the word ids.

  Returns:
    encoded_image: A scalar string Tensor.
    caption: An int64 Tensor of shape [length], with start and end word.
  """
  context, sequence = tf.io.parse_single_sequence_example(
      serialized,
      context_features={
          image_feature: tf.io.FixedLenFeature([], tf.string, default_value="")
      },
      sequence_features={
          caption_feature: tf.io.FixedLenSequenceFeature(
              [], tf.int64, allow_missing=True
          )
      },
  )
  encoded_image, caption = context[image_feature], sequence[caption_feature]
  has_image = tfrecords.require(
      tf.strings.length(encoded_image) > 0, f"it has no image, {image_feature}"
  )
  has_words = tfrecords.require_words(tf.size(caption), caption_feature)
  # Or decoding no image might fail first, and with another reason.
  with tf.control_dependencies([has_image, has_words]):
    return tf.identity(encoded_image), caption


def make_batch(
    images: tf.Tensor, captions: tf.Tensor, lengths: tf.Tensor
) -> Batch:
  """Splits captions into what the decoder reads and what it should say.

  Args:
    images: What `Batch.images` shall be.
    captions: An int64 Tensor of shape [batch_size, width], padded with 0.
    lengths: An integer Tensor of shape [batch_size]; the captions' numbers of
      ids, of which the largest may be less than `width`.

  Returns:
    A `Batch`, padded to its longest caption.
  """
  input_lengths = lengths - 1
  padded_length = tf.reduce_max(input_lengths)
  mask = tf.sequence_mask(input_lengths, padded_length, dtype=captions.dtype)
  return Batch(
      images=images,
      input_seqs=captions[:, :padded_length] * mask,
      target_seqs=captions[:, 1 : padded_length + 1],
      input_mask=tf.cast(mask, tf.int32),
  )


def training_batches(
    files: Sequence[str],
    order: example_order.TrainingOrder,
    *,
    process: ProcessImage,
    num_preprocess_threads: int = 4,
    image_feature: str = IMAGE_FEATURE,
    caption_feature: str = CAPTION_FEATURE,
) -> tf.data.Dataset:
  """Returns endless shuffled batches of distorted images with captions.

  Args:
    files: Names of TFRecord files.
    order: Of their records. Its seed decides the distortions too.
    process: See `ProcessImage`.
    num_preprocess_threads: How many threads the original had. Images are
      numbered from 0 to this by turns, since the order of the colour
      distortions depends on the number; all cores process them.
    image_feature: See `parse_sequence_example`.
    caption_feature: See `parse_sequence_example`.

  Returns:
    An infinite Dataset of `Batch`, one for each part of the order's shard.

  Raises:
    ValueError: See `TrainingOrder.examples`.
  """

  @tf.autograph.experimental.do_not_convert
  def distorted_example(own_number: tf.Tensor, record: tfrecords.Record):
    number = order.number_in_run(own_number)
    distort = functools.partial(
        process,
        is_training=True,
        thread_id=number % num_preprocess_threads,
        seed=tf.stack([order.seed, number]),
    )
    return _example(distort, image_feature, caption_feature, record.serialized)

  examples = (
      training_records(files, order, caption_feature=caption_feature)
      .enumerate(order.own_start)
      .map(
          distorted_example,
          num_parallel_calls=tf.data.AUTOTUNE,
          deterministic=True,
      )
  )
  return _padded_batches(examples, order.part_size, drop_remainder=True)


def evaluation_batches(
    files: Sequence[str],
    *,
    batch_size: int,
    process: ProcessImage,
    image_feature: str = IMAGE_FEATURE,
    caption_feature: str = CAPTION_FEATURE,
) -> tf.data.Dataset:
  """Every record once, in the order of the files; the last batch is smaller.

  Args:
    files: Names of TFRecord files.
    batch_size: Examples in a batch.
    process: See `ProcessImage`.
    image_feature: See `parse_sequence_example`.
    caption_feature: See `parse_sequence_example`.

  Returns:
    A finite Dataset of `Batch`.
  """
  crop = functools.partial(process, is_training=False)
  examples = tf.data.TFRecordDataset(list(files)).map(
      functools.partial(_example, crop, image_feature, caption_feature),
      num_parallel_calls=tf.data.AUTOTUNE,
      deterministic=True,
  )
  return _padded_batches(examples, batch_size, drop_remainder=False)


def find_corrupt_record(
    files: Sequence[str],
    *,
    process: ProcessImage,
    image_feature: str = IMAGE_FEATURE,
    caption_feature: str = CAPTION_FEATURE,
    suspects: tf.data.Dataset | None = None,
) -> tfrecords.CorruptRecordError | None:
  """Finds the record that made the batches fail, whose error names no file.

  Args:
    files: Names of TFRecord files.
    process: See `ProcessImage`.
    image_feature: See `parse_sequence_example`.
    caption_feature: See `parse_sequence_example`.
    suspects: A finite Dataset of `tfrecords.Record` to try first, such as the
      next few batches' worth of `training_records`, since decoding all images
      takes long.

  Returns:
    The error to raise, or None if every record is sound.
  """
  crop = functools.partial(process, is_training=False)
  check = functools.partial(_example, crop, image_feature, caption_feature)
  return tfrecords.find_corrupt_record(files, check, suspects)


@tf.autograph.experimental.do_not_convert
def _example(
    process: Callable[[tf.Tensor], tf.Tensor],
    image_feature: str,
    caption_feature: str,
    serialized: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Returns a record's processed image, caption and caption length."""
  encoded_image, caption = parse_sequence_example(
      serialized, image_feature=image_feature, caption_feature=caption_feature
  )
  return process(encoded_image), caption, tf.size(caption)


def _padded_batches(
    examples: tf.data.Dataset, batch_size: int, *, drop_remainder: bool
) -> tf.data.Dataset:
  return (
      examples.padded_batch(batch_size, drop_remainder=drop_remainder)
      .map(tf.autograph.experimental.do_not_convert(make_batch))
      .prefetch(_BATCHES_AHEAD)
  )
