"""Computes the features of each distinct image once, and keeps them in files.

While the encoder is frozen, all that training needs of an image is what the
encoder sees in it. The builder writes an image once for each of its captions;
here it is encoded once, and its record holds all its captions:

    train-00000-of-00256 ... --> encoder --> OUTPUT_DIR/train-00000-of-00008 ...
                                             OUTPUT_DIR/features.json

Features are of use only with the encoder that made them; `features.json` says
which one that was.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import itertools
import os
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from im2txt import caption_data
from im2txt import configuration
from im2txt import feature_metadata
from im2txt.ops import feature_records
from im2txt.ops import image_embedding
from im2txt.ops import inputs

_IMAGE_ID = "image/image_id"
_RECORDS_AT_ONCE = 64
_BATCHES_AHEAD = 2

# Large models have features of some tens; float16 ends at 65504.
_DTYPE = np.float16


class Options(NamedTuple):
  """How the features of a set of images are made and stored.

  Attributes:
    num_views: How often an image is encoded: once in its central crop, and
      otherwise as training distorts it.
    num_shards: The number of files to write.
    seed: Of the distortions.
  """

  num_views: int = 1
  num_shards: int = 8
  seed: int = 12345


class DistinctImages(NamedTuple):
  """The images in a set of records, in the order of their first record.

  Attributes:
    image_ids: The id of each image.
    captions: Of each image, the word ids of each caption.
    is_first: Of each record, whether it is the first of its image.
  """

  image_ids: list[int]
  captions: list[list[list[int]]]
  is_first: list[bool]


def scan(
    files: Sequence[str],
    config: configuration.ModelConfig,
    *,
    progress: Callable[[int], object],
) -> DistinctImages:
  """Finds the distinct images without decoding any.

  Args:
    files: Names of TFRecord files, one image-caption pair a record.
    config: The model's configuration.
    progress: Called with the number of records that were read meanwhile.

  Returns:
    The images. Their ids and captions are held in memory, nothing else.

  Raises:
    CorruptRecordError: If a record can't be used.
  """
  name = config.caption_feature_name

  def parse(serialized: tf.Tensor):
    context, sequences, lengths = tf.io.parse_sequence_example(
        serialized,
        context_features={_IMAGE_ID: tf.io.FixedLenFeature([], tf.int64)},
        sequence_features={name: tf.io.FixedLenSequenceFeature([], tf.int64)},
    )
    return context[_IMAGE_ID], sequences[name], lengths[name]

  batches = (
      tf.data.TFRecordDataset(list(files))
      .batch(_RECORDS_AT_ONCE)
      .map(parse)
      .prefetch(tf.data.AUTOTUNE)
  )
  captions: dict[int, list[list[int]]] = {}
  is_first = []
  for batch in _naming_files(batches, files, config):
    columns = [column.numpy().tolist() for column in batch]
    for image_id, padded, length in zip(*columns, strict=True):
      is_first.append(image_id not in captions)
      captions.setdefault(image_id, []).append(padded[:length])
    progress(len(columns[0]))
  return DistinctImages(list(captions), list(captions.values()), is_first)


def write(
    files: Sequence[str],
    images: DistinctImages,
    encoder: image_embedding.ImageEncoder,
    config: configuration.ModelConfig,
    *,
    output_dir: str,
    prefix: str,
    options: Options,
    progress: Callable[[int], object],
) -> None:
  """Encodes the images and writes their features and captions.

  What the folder holds under the same prefix is replaced.

  Args:
    files: Names of TFRecord files.
    images: What `scan` found in them.
    encoder: The encoder, with the weights to use.
    config: The model's configuration.
    output_dir: The folder to write to; made if it is missing.
    prefix: The first part of the files' names, such as "train".
    options: How the features are made and stored.
    progress: Called with the number of images that were encoded meanwhile.

  Raises:
    ValueError: If the folder holds features of another encoder under another
      prefix, or a feature is too large for its type.
    CorruptRecordError: If a record can't be used.
  """
  tf.io.gfile.makedirs(output_dir)
  metadata = feature_metadata.begin_set(output_dir, prefix, encoder, config)
  shards = os.path.join(output_dir, f"{prefix}-?????-of-?????")
  for stale in tf.io.gfile.glob([shards, shards + ".tmp"]):
    tf.io.gfile.remove(stale)
  views = _naming_files(_views(files, images, config, options), files, config)
  features = _encode(views, encoder, progress)
  rows = zip(images.image_ids, features, images.captions, strict=True)
  num_images, num_shards = len(images.image_ids), options.num_shards
  for shard in range(num_shards):
    path = os.path.join(output_dir, f"{prefix}-{shard:05d}-of-{num_shards:05d}")
    first, end = (num_images * i // num_shards for i in (shard, shard + 1))
    _write_shard(path, itertools.islice(rows, end - first))
  metadata["sets"][prefix] = {
      "images": num_images,
      "captions": len(images.is_first),
      "dtype": _DTYPE.__name__,
      **options._asdict(),
  }
  feature_metadata.write(output_dir, metadata)


def _naming_files(
    elements: Iterable[Any],
    files: Sequence[str],
    config: configuration.ModelConfig,
) -> Iterator[Any]:
  """The elements; an error of TensorFlow's becomes one that names the file."""
  try:
    yield from elements
  except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
    data = caption_data.CaptionData(files=files, config=config)
    raise data.explain(error) from None


def _views(
    files: Sequence[str],
    images: DistinctImages,
    config: configuration.ModelConfig,
    options: Options,
) -> tf.data.Dataset:
  """Batches of all views of each image, in the order of `images`.

  Args:
    files: Names of TFRecord files.
    images: What `scan` found in them.
    config: The model's configuration.
    options: How many views, and their seed.

  Returns:
    A Dataset of float32 Tensors of shape [batch_size, num_views, height, width,
    3], with about `config.batch_size` views.
  """
  process = caption_data.process_image(config)
  is_first = tf.constant(images.is_first)

  def image_views(index: tf.Tensor, serialized: tf.Tensor) -> tf.Tensor:
    encoded_image, _ = inputs.parse_sequence_example(
        serialized,
        image_feature=config.image_feature_name,
        caption_feature=config.caption_feature_name,
    )
    views = [process(encoded_image, is_training=False)]
    for view in range(1, options.num_views):
      seed = tf.random.experimental.stateless_fold_in(
          tf.stack([tf.cast(options.seed, tf.int64), index]), view
      )
      # The two orders of the colour distortions by turns.
      views.append(
          process(encoded_image, is_training=True, thread_id=view, seed=seed)
      )
    return tf.stack(views)

  return (
      tf.data.TFRecordDataset(list(files))
      .enumerate()
      .filter(lambda index, _: is_first[index])
      .map(
          image_views,
          num_parallel_calls=config.num_preprocess_threads,
          deterministic=True,
      )
      .batch(max(1, config.batch_size // options.num_views))
      .prefetch(_BATCHES_AHEAD)
  )


def _encode(
    batches: Iterable[tf.Tensor],
    encoder: image_embedding.ImageEncoder,
    progress: Callable[[int], object],
) -> Iterator[np.ndarray]:
  """The features of each image; arrays of shape [num_views, feature_size]."""
  for views in batches:
    num_images, num_views, *image_shape = views.shape
    features = encoder(tf.reshape(views, [-1, *image_shape])).numpy()
    with np.errstate(over="ignore"):
      stored = features.astype(_DTYPE)
    if not np.isfinite(stored).all():
      raise ValueError(
          f"The encoder gives features up to {features.max()}, which"
          f" {_DTYPE.__name__} can't hold. Is it a trained one?"
      )
    progress(num_images)
    yield from stored.reshape([num_images, num_views, -1])


def _write_shard(
    path: str, rows: Iterable[tuple[int, np.ndarray, list[list[int]]]]
) -> None:
  temporary = path + ".tmp"
  try:
    with tf.io.TFRecordWriter(temporary) as writer:
      for row in rows:
        writer.write(feature_records.serialize_feature_example(*row))
    tf.io.gfile.rename(temporary, path, overwrite=True)
  finally:
    if tf.io.gfile.exists(temporary):
      tf.io.gfile.remove(temporary)
