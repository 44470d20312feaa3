"""The distinct images of a split, each once, and what people say of them.

A record of the builder is a pair, so an image is in as many records as it has
captions; a record of cached features has an image with all its captions. Either
way an image is captioned once, and all its captions are its references.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import os
import re
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from im2txt import caption_data
from im2txt.inference_utils import vocabulary
from im2txt.ops import cached_features
from im2txt.ops import inputs

_IMAGE_ID = "image/image_id"
_WORDS = "image/caption"
_FEATURE_WORD_IDS = "image/caption_ids"
_NO_ID = -1

_RECORDS_AT_ONCE = 64
_SHARD = re.compile(r"(.+)-\d+-of-\d+")


class Split(NamedTuple):
  """The images of a split, in the order of their first record.

  Attributes:
    references: By image id, what people say of the image.
    word_ids: By image id, the same captions as the model reads them, with
      start and end word.
    is_first: Of each record, whether it is the first of its image.
  """

  references: dict[int, list[str]]
  word_ids: dict[int, list[list[int]]]
  is_first: list[bool]

  @property
  def image_ids(self) -> list[int]:
    """The ids of the images."""
    return list(self.references)


def name_of(files: Sequence[str]) -> str:
  """The split that file names tell, as in val-00000-of-00004; or "val"."""
  match = _SHARD.fullmatch(os.path.basename(files[0]))
  return match[1] if match else "val"


def scan(
    data: caption_data.CaptionData, vocab: vocabulary.Vocabulary | None
) -> Split:
  """Reads the ids and captions of all records, and no image.

  Args:
    data: The records.
    vocab: Gives the words of captions of which the records hold the ids only;
      if None, they are left out of the references.

  Returns:
    The split.

  Raises:
    ValueError: If a record can't be used, or there is none.
  """
  split = Split({}, {}, [])
  for image_id, words, word_ids in data.explained(_captions(data)):
    split.is_first.append(image_id not in split.references)
    said = split.references.setdefault(image_id, [])
    if vocab and not words:
      words = [list(map(vocab.id_to_word, ids)) for ids in word_ids]
    said.extend(" ".join(caption[1:-1]) for caption in words)
    split.word_ids.setdefault(image_id, []).extend(word_ids)
  if not split.is_first:
    raise ValueError(f"The input holds no caption: {', '.join(data.files)}.")
  if _NO_ID in split.references:
    raise ValueError(
        f"A record has no {_IMAGE_ID}, which tells the images apart."
    )
  return split


def image_batches(
    data: caption_data.CaptionData, split: Split, *, feature_size: int
) -> tf.data.Dataset:
  """Each image once, as the model takes it.

  Args:
    data: The records.
    split: What `scan` found in them.
    feature_size: The number of features that the decoder takes.

  Returns:
    A Dataset of float32 Tensors of shape [batch_size, height, width, 3], or
    [batch_size, feature_size] if the records hold features.
  """
  config = data.config
  records = _first_records(data, split)
  if data.are_features:
    decode = cached_features.first_view_decoder(data.files, feature_size)
    images = records.map(decode)
  else:
    process = caption_data.process_image(config)
    images = records.map(
        lambda record: process(_parse_image(record, data), is_training=False),
        num_parallel_calls=config.num_preprocess_threads,
        deterministic=True,
    )
  return images.batch(config.batch_size).prefetch(1)


def encoded_images(
    data: caption_data.CaptionData, split: Split
) -> Iterator[bytes]:
  """Each image's file, as the records hold it, in the order of the split."""
  for record in _first_records(data, split):
    yield _parse_image(record, data).numpy()


def _captions(
    data: caption_data.CaptionData,
) -> Iterator[tuple[int, list[list[str]], list[list[int]]]]:
  """Of each record the image id and, of its captions, words and word ids."""
  name = data.config.caption_feature_name
  if data.are_features:
    name = _FEATURE_WORD_IDS

  def parse(serialized: tf.Tensor):
    context, sequences, _ = tf.io.parse_sequence_example(
        serialized,
        context_features={
            _IMAGE_ID: tf.io.FixedLenFeature([], tf.int64, _NO_ID)
        },
        sequence_features={
            _WORDS: tf.io.RaggedFeature(tf.string),
            name: tf.io.RaggedFeature(tf.int64),
        },
    )
    return context[_IMAGE_ID], sequences[_WORDS], sequences[name]

  batches = (
      tf.data.TFRecordDataset(list(data.files))
      .batch(_RECORDS_AT_ONCE)
      .map(parse)
      .prefetch(tf.data.AUTOTUNE)
  )
  for image_ids, words, word_ids in batches:
    columns = image_ids.numpy().tolist(), words.to_list(), word_ids.to_list()
    for image_id, said, ids in zip(*columns, strict=True):
      if data.are_features:
        yield image_id, [], ids
        continue
      # The builder keeps each word in a list of its own.
      caption = [
          word.decode(errors="replace") for part in said for word in part
      ]
      yield (
          image_id,
          [caption] if caption else [],
          [[word_id for part in ids for word_id in part]],
      )


def _first_records(
    data: caption_data.CaptionData, split: Split
) -> tf.data.Dataset:
  """The serialized first record of each image; scalar string Tensors."""
  is_first = np.array(split.is_first)
  return (
      tf.data.TFRecordDataset(list(data.files))
      .enumerate()
      .filter(lambda index, _: tf.constant(is_first)[index])
      .map(lambda _, record: record)
  )


def _parse_image(
    record: tf.Tensor, data: caption_data.CaptionData
) -> tf.Tensor:
  encoded_image, _ = inputs.parse_sequence_example(
      record,
      image_feature=data.config.image_feature_name,
      caption_feature=data.config.caption_feature_name,
  )
  return encoded_image
