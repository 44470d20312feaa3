"""Finds the distinct images of a split and the references of each.

A record with an image has one caption, so an image is in one record per
caption. A record with cached features has all captions of the image. In both
cases an image is encoded or captioned once, and all its captions are its
references.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import itertools
import os
import re
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from im2txt import networks
from im2txt.data import caption_data
from im2txt.inference_utils import vocabulary
from im2txt.ops import feature_inputs
from im2txt.ops import inputs
from im2txt.ops import tfrecords

_IMAGE_ID = "image/image_id"
_WORDS = "image/caption"
_NO_ID = tf.int64.min
_NUM_FINGERPRINTS = tf.int64.max

_RECORDS_AT_ONCE = 64
# Any number of digits, unlike `tfrecords.shard_name`: it is only a title here.
_SHARD = re.compile(r"(.+)-\d+-of-\d+")


class Split(NamedTuple):
  """The images of a split, in the order of their first record.

  Attributes:
    references: The reference captions of each image id.
    word_ids: The word ids of these captions, with start and end word, of each
      image id.
    is_first: Whether each record is the first one of its image.
  """

  references: dict[int, list[str]]
  word_ids: dict[int, list[list[int]]]
  is_first: list[bool]

  @property
  def image_ids(self) -> list[int]:
    """The ids of the images."""
    return list(self.references)


def split_name(files: Sequence[str]) -> str:
  """Returns the name of the split in file names such as val-00000-of-00004.

  Several names are joined, as in "test_val". Without any, the result is "val".
  """
  matches = map(_SHARD.fullmatch, map(os.path.basename, files))
  names = sorted({match[1] for match in matches if match})
  return "_".join(names) or "val"


def scan(
    data: caption_data.CaptionData,
    vocab: vocabulary.Vocabulary | None = None,
    *,
    progress: Callable[[int], object] = lambda count: None,
) -> Split:
  """Reads the ids and captions of all records, without decoding images.

  Args:
    data: The records.
    vocab: Vocabulary for captions whose words are not in the records. If None,
      such captions are left out of the references.
    progress: Called with the number of records that were read since the last
      call.

  Returns:
    The images of the split.

  Raises:
    ValueError: If there are no records, a record can't be used, or two images
      have the same id.
  """
  captions_of = _captions_of_features if data.are_features else _captions
  split = Split({}, {}, [])
  fingerprint_of: dict[int, int] = {}
  batches = (
      tf.data.TFRecordDataset(list(data.files))
      .batch(_RECORDS_AT_ONCE)
      .map(_parser(data))
      .prefetch(tf.data.AUTOTUNE)
  )
  for columns in data.explained(batches):
    image_ids, fingerprints = (c.numpy().tolist() for c in columns[:2])
    if _NO_ID in image_ids:
      raise ValueError(
          f"A record has no {_IMAGE_ID}, which identifies the image."
      )
    for image_id, fingerprint, (words, word_ids) in zip(
        image_ids, fingerprints, captions_of(*columns[2:]), strict=True
    ):
      if fingerprint_of.setdefault(image_id, fingerprint) != fingerprint:
        raise _two_images(data, split, image_id)
      split.is_first.append(image_id not in split.references)
      references = split.references.setdefault(image_id, [])
      if vocab and not words:
        words = [list(map(vocab.id_to_word, ids)) for ids in word_ids]
      references.extend(" ".join(caption[1:-1]) for caption in words)
      split.word_ids.setdefault(image_id, []).extend(word_ids)
    progress(len(image_ids))
  if not split.is_first:
    raise ValueError(
        f"The input contains no captions: {', '.join(data.files)}."
    )
  return split


def image_batches(
    data: caption_data.CaptionData, split: Split, *, feature_size: int
) -> tf.data.Dataset:
  """Returns batches with the preprocessed images, or features, of a split.

  Args:
    data: The records.
    split: The result of `scan` for `data`.
    feature_size: The number of features per image.

  Returns:
    A Dataset of float32 Tensors of shape [batch_size, height, width, 3], or
    [batch_size, feature_size] if the records contain features.
  """
  config = data.config
  first = first_records(data, split)
  if data.are_features:
    decode = feature_inputs.first_view_decoder(data.files, feature_size)
    images = first.map(lambda _, record: decode(record))
  else:
    process = networks.preprocess_fn(config)
    images = first.map(
        lambda _, record: process(
            encoded_image(record, data), is_training=False
        ),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
  return images.batch(config.batch_size).prefetch(1)


def encoded_images(
    data: caption_data.CaptionData, split: Split
) -> Iterator[bytes]:
  """Yields the encoded image of each record, in the order of the split."""
  for _, record in first_records(data, split):
    yield encoded_image(record, data).numpy()


def first_records(
    data: caption_data.CaptionData,
    split: Split,
    numbers: Sequence[int] | None = None,
) -> tf.data.Dataset:
  """Returns the first record of each image, in the order of the split.

  Args:
    data: The records.
    split: The result of `scan` for `data`.
    numbers: The zero-based numbers of the images to return, in ascending order;
      all images if None.

  Returns:
    A Dataset of pairs of scalar Tensors: the int64 number of the record among
    all records, and the serialized record, a string.
  """
  is_wanted = np.array(split.is_first)
  if numbers is not None:
    is_wanted[:] = False
    is_wanted[np.flatnonzero(split.is_first)[numbers]] = True
  return (
      tf.data.TFRecordDataset(list(data.files))
      .enumerate()
      .filter(lambda index, _: tf.constant(is_wanted)[index])
  )


def encoded_image(
    record: tf.Tensor, data: caption_data.CaptionData
) -> tf.Tensor:
  """Returns the encoded image in a serialized pair; both scalar strings."""
  image, _ = inputs.parse_sequence_example(
      record,
      image_feature=data.config.image_feature_name,
      caption_feature=data.config.caption_feature_name,
  )
  return image


def _parser(
    data: caption_data.CaptionData,
) -> Callable[[tf.Tensor], tuple[Any, ...]]:
  """Returns a parser for image ids, image fingerprints and captions."""
  features = {_IMAGE_ID: tf.io.FixedLenFeature([], tf.int64, _NO_ID)}
  name = data.config.caption_feature_name
  image_name = data.config.image_feature_name
  image = {image_name: tf.io.FixedLenFeature([], tf.string, "")}

  @tf.autograph.experimental.do_not_convert
  def parse_pairs(serialized: tf.Tensor) -> tuple[Any, ...]:
    context, captions, lengths = tf.io.parse_sequence_example(
        serialized,
        context_features=features | image,
        # Each word is in a feature of its own.
        sequence_features={
            _WORDS: tf.io.FixedLenSequenceFeature(
                [], tf.string, allow_missing=True
            ),
            name: tf.io.FixedLenSequenceFeature([], tf.int64),
        },
    )
    words = captions[_WORDS], lengths[_WORDS]
    fingerprints = _fingerprints(context[image_name])
    word_ids = captions[name], lengths[name]
    return context[_IMAGE_ID], fingerprints, *words, *word_ids

  if not data.are_features:
    return parse_pairs
  layout = feature_inputs.read_layout(data.files)

  @tf.autograph.experimental.do_not_convert
  def parse_features(serialized: tf.Tensor) -> tuple[Any, ...]:
    context, _, _ = tf.io.parse_sequence_example(
        serialized, context_features=features
    )
    views, captions = feature_inputs.parse_feature_examples(serialized, layout)
    return context[_IMAGE_ID], _fingerprints(views[:, 0]), captions

  return parse_features


def _fingerprints(images: tf.Tensor) -> tf.Tensor:
  """Returns hashes of images.

  Args:
    images: A string Tensor of any shape, with image files or features.

  Returns:
    An int64 Tensor of the same shape.
  """
  return tf.strings.to_hash_bucket_fast(images, _NUM_FINGERPRINTS)


def _two_images(
    data: caption_data.CaptionData, split: Split, image_id: int
) -> ValueError:
  """Returns an error if the record after `split` reuses an image id."""
  first = np.flatnonzero(split.is_first)[split.image_ids.index(image_id)]
  ends = np.cumsum([tfrecords.count_records([file]) for file in data.files])
  files = [
      data.files[number]
      for number in np.searchsorted(ends, [first, len(split.is_first)], "right")
  ]
  return ValueError(
      f"Two images have the id {image_id}, one in {files[0]}, one in"
      f" {files[1]}. Build one of the data sets again with unique ids; its"
      " captions may contain them, as image_id or as MSCOCO's id."
  )


def _captions(
    *columns: tf.Tensor,
) -> Iterator[tuple[list[list[str]], list[list[int]]]]:
  """Yields the words of each pair's caption, if it has words, and their ids."""
  rows = zip(*(column.numpy().tolist() for column in columns), strict=True)
  for words, num_words, word_ids, num_ids in rows:
    words = [
        vocabulary.without_bytes_literal(word.decode(errors="replace"))
        for word in words[:num_words]
    ]
    yield [words] if words else [], [word_ids[:num_ids]]


def _captions_of_features(
    captions: tf.RaggedTensor,
) -> Iterator[tuple[list[list[str]], list[list[int]]]]:
  """Yields no words, and the word ids of all captions of each image."""

  # 100 times as fast as `to_list`.
  def rows(values: list[Any], splits: tf.Tensor) -> list[Any]:
    bounds = itertools.pairwise(splits.numpy().tolist())
    return [values[start:stop] for start, stop in bounds]

  word_ids = captions.flat_values.numpy().tolist()
  for row in rows(
      rows(word_ids, captions.values.row_splits), captions.row_splits
  ):
    yield [], row
