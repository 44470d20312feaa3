"""Reads image-caption pairs from TFRecords in padded batches.

    TFRecords -> shuffle -> parse -> decode, distort -> pad -> Batch

Training batches never end. Their examples, the order of these and the
distortion of each image depend only on the seed, so training resumes with
exactly the batch at which it stopped. Evaluation reads the files once.
"""

from collections.abc import Callable
from collections.abc import Sequence
import fnmatch
import functools
import os
from typing import NamedTuple

from absl import logging
import tensorflow as tf

from im2txt.ops import example_order
from im2txt.ops import tfrecords

# `image_processing.process_image` with the image sizes and format filled in.
# Takes an encoded image and the keyword arguments is_training, thread_id and
# seed.
PreprocessFn = Callable[..., tf.Tensor]

# Names that `build_mscoco_data` gives the encoded image and the word ids.
IMAGE_FEATURE = "image/data"
CAPTION_FEATURE = "image/caption_ids"

_BATCHES_AHEAD = 2

# Number of missing shards that a message names.
_MISSING_NAMED = 3


class Batch(NamedTuple):
  """Images, and their captions as the decoder reads and predicts them.

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
      words, 0 at padding. The mask is needed because padding has the id 0,
      which is also the id of a word.
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
  """Finds the files that match any of the comma-separated patterns.

  Args:
    pattern: Patterns such as "/data/train-?????-of-00256,/more/train-*".
    feature_pattern: Patterns of files of cached features, used instead of
      `pattern` unless empty.
    allow_missing_shards: Whether to accept an incomplete data set.

  Returns:
    The names of the files, sorted and without duplicates.

  Raises:
    FileNotFoundError: If no file matches, or a shard that would match is
      missing.
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
  """Checks that no shard is missing and that each data set has one build.

  The name of a shard, such as train-00000-of-00256, contains the number of
  shards. A shard that no pattern would match is not missing: it was left out on
  purpose.
  """
  counts: dict[str, dict[int, str]] = {}
  for file in files:
    if shard := tfrecords.shard_name(file):
      counts.setdefault(shard.data_set, {}).setdefault(shard.num_shards, file)
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
  """Parses an image and its caption from a serialized SequenceExample.

  Args:
    serialized: A scalar string Tensor.
    image_feature: Name of the context feature that contains the encoded image.
    caption_feature: Name of the feature list that contains the word ids.

  Returns:
    encoded_image: A scalar string Tensor.
    caption: An int64 Tensor of shape [length], start and end word included.
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
  # Otherwise, decoding an empty image could fail first, with another message.
  with tf.control_dependencies([has_image, has_words]):
    return tf.identity(encoded_image), caption


def make_batch(
    images: tf.Tensor,
    captions: tf.Tensor,
    lengths: tf.Tensor,
    *,
    padded_length: int | None = None,
) -> Batch:
  """Splits captions into the decoder's inputs and targets.

  Args:
    images: A float32 Tensor; see `Batch.images`.
    captions: An int64 Tensor of shape [batch_size, width], padded with 0.
    lengths: An integer Tensor of shape [batch_size]; the number of word ids of
      each caption, at most `width`.
    padded_length: Length to pad to, at most `width` - 1. By default, the length
      of the longest caption without its last word.

  Returns:
    A `Batch`.
  """
  input_lengths = lengths - 1
  if padded_length is None:
    padded_length = tf.reduce_max(input_lengths)
  mask = tf.sequence_mask(input_lengths, padded_length, dtype=captions.dtype)
  return Batch(
      images=images,
      input_seqs=captions[:, :padded_length] * mask,
      target_seqs=captions[:, 1 : padded_length + 1],
      input_mask=tf.cast(mask, tf.int32),
  )


def training_records(
    files: Sequence[str],
    order: example_order.TrainingOrder,
    *,
    caption_feature: str = CAPTION_FEATURE,
) -> tf.data.Dataset:
  """Returns records in the order in which `training_batches` uses them.

  Args:
    files: Names of TFRecord files.
    order: Order of the records of a run.
    caption_feature: Name of the feature list that contains the word ids.

  Returns:
    An infinite Dataset of `tfrecords.Record`, those of the order's shard.

  Raises:
    ValueError: If all files are empty, or see `example_order.split_files`.
  """

  def caption_lengths(records: tfrecords.Record) -> tf.Tensor:
    ids = tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True)
    *_, num_ids = tf.io.parse_sequence_example(
        records.serialized, sequence_features={caption_feature: ids}
    )
    return num_ids[caption_feature]

  files, order = example_order.split_files(files, order)
  start = example_order.start_of_window(order)
  dataset = tfrecords.read_epochs(
      files,
      read_file=tfrecords.read,
      seed=order.seed,
      start=start,
      # Counting opens all files, so it is done only to resume.
      epoch_size=tfrecords.count_records(files) if start else 0,
      buffer_size=order.shuffle_buffer_size,
  )
  dataset = example_order.bucket_by_length(dataset, order, caption_lengths)
  return example_order.keep_own_rows(dataset, order)


def training_batches(
    files: Sequence[str],
    order: example_order.TrainingOrder,
    *,
    preprocess: PreprocessFn,
    num_preprocess_threads: int = 4,
    image_feature: str = IMAGE_FEATURE,
    caption_feature: str = CAPTION_FEATURE,
) -> tf.data.Dataset:
  """Returns endless shuffled batches of distorted images with captions.

  Args:
    files: Names of TFRecord files.
    order: Order of the records of a run. Its seed is the seed for the
      distortions too.
    preprocess: Function that decodes and distorts an image; see `PreprocessFn`.
    num_preprocess_threads: Number of preprocessing threads of the original. An
      image's number in the run, modulo this, is its thread id, on which the
      order of its colour distortions depends. All cores are used anyway.
    image_feature: Name of the context feature that contains the encoded image.
    caption_feature: Name of the feature list that contains the word ids.

  Returns:
    An infinite Dataset of `Batch`, one per device of the order's shard.

  Raises:
    ValueError: See `training_records`.
  """

  @tf.autograph.experimental.do_not_convert
  def parse_and_distort(local_index: tf.Tensor, record: tfrecords.Record):
    encoded_image, caption = parse_sequence_example(
        record.serialized,
        image_feature=image_feature,
        caption_feature=caption_feature,
    )
    index = order.global_index(local_index)
    image = preprocess(
        encoded_image,
        is_training=True,
        thread_id=index % num_preprocess_threads,
        seed=tf.stack([order.seed, index]),
    )
    return image, caption, tf.size(caption)

  dataset = training_records(files, order, caption_feature=caption_feature)
  dataset = dataset.enumerate(order.local_start)
  dataset = dataset.map(
      parse_and_distort,
      num_parallel_calls=tf.data.AUTOTUNE,
      deterministic=True,
  )
  return _padded_batches(dataset, order.device_batch_size, drop_remainder=True)


def evaluation_batches(
    files: Sequence[str],
    *,
    batch_size: int,
    preprocess: PreprocessFn,
    image_feature: str = IMAGE_FEATURE,
    caption_feature: str = CAPTION_FEATURE,
) -> tf.data.Dataset:
  """Returns batches of every record once, in the order of the files.

  Args:
    files: Names of TFRecord files.
    batch_size: Number of examples per batch; the last may have fewer.
    preprocess: Function that decodes and resizes an image; see `PreprocessFn`.
    image_feature: Name of the context feature that contains the encoded image.
    caption_feature: Name of the feature list that contains the word ids.

  Returns:
    A finite Dataset of `Batch`.
  """
  dataset = tf.data.TFRecordDataset(list(files))
  dataset = dataset.map(
      functools.partial(
          _parse_and_resize,
          preprocess=preprocess,
          image_feature=image_feature,
          caption_feature=caption_feature,
      ),
      num_parallel_calls=tf.data.AUTOTUNE,
      deterministic=True,
  )
  return _padded_batches(dataset, batch_size, drop_remainder=False)


def find_corrupt_record(
    files: Sequence[str],
    *,
    preprocess: PreprocessFn,
    image_feature: str = IMAGE_FEATURE,
    caption_feature: str = CAPTION_FEATURE,
    suspects: tf.data.Dataset | None = None,
) -> tfrecords.CorruptRecordError | None:
  """Finds the record that made reading batches fail.

  The error that TensorFlow raises does not name the file.

  Args:
    files: Names of TFRecord files.
    preprocess: Function that decodes and resizes an image; see `PreprocessFn`.
    image_feature: Name of the context feature that contains the encoded image.
    caption_feature: Name of the feature list that contains the word ids.
    suspects: A finite Dataset of `tfrecords.Record` to check before all others,
      such as the next few batches' worth of `training_records`, since decoding
      all images is slow.

  Returns:
    The error to raise, or None if no record is corrupt.
  """
  check = functools.partial(
      _parse_and_resize,
      preprocess=preprocess,
      image_feature=image_feature,
      caption_feature=caption_feature,
  )
  return tfrecords.find_corrupt_record(files, check, suspects)


@tf.autograph.experimental.do_not_convert
def _parse_and_resize(
    serialized: tf.Tensor,
    *,
    preprocess: PreprocessFn,
    image_feature: str,
    caption_feature: str,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Returns a record's image, not distorted, its caption and its length."""
  encoded_image, caption = parse_sequence_example(
      serialized, image_feature=image_feature, caption_feature=caption_feature
  )
  image = preprocess(encoded_image, is_training=False)
  return image, caption, tf.size(caption)


def _padded_batches(
    examples: tf.data.Dataset, batch_size: int, *, drop_remainder: bool
) -> tf.data.Dataset:
  """Returns batches of images, captions and lengths as a Dataset of `Batch`."""
  return (
      examples.padded_batch(batch_size, drop_remainder=drop_remainder)
      .map(tf.autograph.experimental.do_not_convert(make_batch))
      .prefetch(_BATCHES_AHEAD)
  )
