"""Computes the features of each distinct image once and caches them in files.

While the encoder is frozen, training needs only the features of an image. In
the input, an image is in one record per caption. Here it is encoded once, and
its record contains all its captions:

    train-00000-of-00256 ... --> encoder --> OUTPUT_DIR/train-00000-of-00008 ...
                                             OUTPUT_DIR/features.json

Features can only be used with the encoder that computed them, which
`features.json` identifies:

    {
      "fingerprint": hash of the encoder's weights and of the preprocessing,
      "preprocessing": {"image_height": 299, ...},
      "sets": {"train": {"images": ..., "captions": ..., ...}, "val": ...},
      "unfinished": {"test": {"images": ..., "captions": ..., ...}}
    }

An interrupted run resumes with the missing files. No batch contains images of
two files, so the resulting files are the same, byte by byte.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import hashlib
import itertools
import json
import os
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import networks
from im2txt.data import caption_data
from im2txt.data import dataset_facts
from im2txt.data import distinct_images
from im2txt.ops import feature_inputs
from im2txt.ops import image_embedding
from im2txt.ops import tfrecords
from im2txt.runtime import atomic_files
from im2txt.runtime import cloud_file

_VIEWS_AHEAD = 64


def begin_set(
    folder: str,
    prefix: str,
    encoder: image_embedding.ImageEncoder,
    config: configuration.ModelConfig,
    description: dict[str, Any],
) -> bool:
  """Records in `features.json` that the files of a set are being written.

  Args:
    folder: The folder of the files, which must exist.
    prefix: The name of the set.
    encoder: The encoder whose features will be written.
    config: The model's configuration.
    description: Everything else that the files depend on; JSON values.

  Returns:
    Whether an earlier call began the same set and did not end it.

  Raises:
    ValueError: If the folder has complete sets of another encoder.
  """
  metadata: dict[str, Any] = {
      "fingerprint": networks.fingerprint(encoder, config),
      "preprocessing": networks.preprocessing_fields(config),
      "sets": {},
      "unfinished": {},
  }
  earlier = {**metadata, **(_read(folder) or {})}
  others = {k: v for k, v in earlier["sets"].items() if k != prefix}
  is_same = earlier["fingerprint"] == metadata["fingerprint"]
  if others and not is_same:
    raise ValueError(
        f"{folder} contains features of another encoder"
        f" ({', '.join(sorted(others))}). Choose another folder, or delete it."
    )
  is_resumed = is_same and earlier["unfinished"].get(prefix) == description
  metadata["sets"] = others
  if is_same:
    metadata["unfinished"] = earlier["unfinished"]
  metadata["unfinished"][prefix] = description
  _write(folder, metadata)
  return is_resumed


def end_set(folder: str, prefix: str) -> None:
  """Records in `features.json` that all files of a set are complete."""
  metadata = _read(folder) or {}
  metadata["sets"][prefix] = metadata["unfinished"].pop(prefix)
  _write(folder, metadata)


def check_encoder(
    files: Sequence[str],
    encoder: image_embedding.ImageEncoder,
    config: configuration.ModelConfig,
) -> None:
  """Checks that cached features were computed by an encoder.

  Args:
    files: Names of files with cached features.
    encoder: The encoder with its weights.
    config: The model's configuration.

  Raises:
    ValueError: If the files may be incomplete, or the features were computed
      with other weights or another preprocessing.
  """
  fingerprint = networks.fingerprint(encoder, config)
  ours = networks.preprocessing_fields(config)
  for folder in sorted({os.path.dirname(file) for file in files}):
    metadata = _read(folder) or {"sets": {}}
    for file in files:
      shard = tfrecords.shard_name(file)
      prefix = os.path.basename(shard.data_set if shard else file)
      if os.path.dirname(file) == folder and prefix not in metadata["sets"]:
        raise ValueError(
            f"{_path(folder)} does not list {prefix!r} as a complete set, so"
            f" {file} may be incomplete. Run cache_image_features."
        )
    for name, cached in metadata["preprocessing"].items():
      if cached != ours[name]:
        raise ValueError(
            f"The features in {folder!r} were computed with {name}={cached},"
            f" but the model has {name}={ours[name]}."
        )
    if metadata["fingerprint"] != fingerprint:
      raise ValueError(
          f"The features in {folder!r} were computed with other encoder weights"
          " than the model's. Cache them again with this encoder."
      )


def _path(folder: str) -> str:
  return os.path.join(folder, dataset_facts.FEATURES_FILE)


def _read(folder: str) -> dict[str, Any] | None:
  path = _path(folder)
  if not tf.io.gfile.exists(path):
    return None
  with tf.io.gfile.GFile(path) as file:
    text = file.read()
  try:
    return json.loads(text)
  except ValueError:
    raise ValueError(
        f"{path} is damaged. Delete it, and run cache_image_features again."
    ) from None


def _write(folder: str, metadata: dict[str, Any]) -> None:
  """Writes the metadata of a folder atomically."""
  content = json.dumps(metadata, indent=2) + "\n"
  cloud_file.write(content.encode(), _path(folder))


class Options(NamedTuple):
  """Options of the computation and storage of features.

  Attributes:
    num_views: The number of views of an image that are encoded: its central
      crop, and the others distorted as in training.
    num_shards: The number of files to write.
    seed: Seed for the distortions.
    dtype: "float16", whose maximum is 65504, or "float32".
  """

  num_views: int = 1
  num_shards: int = 8
  seed: int = 12345
  dtype: str = "float16"


def write(
    data: caption_data.CaptionData,
    images: distinct_images.Split,
    encoder: image_embedding.ImageEncoder,
    *,
    output_dir: str,
    prefix: str,
    options: Options,
    progress: Callable[[int], object],
) -> None:
  """Encodes the images and writes their features and captions.

  Existing files with the prefix are replaced, except those of an interrupted
  earlier call with the same arguments.

  Args:
    data: The image-caption pairs.
    images: The result of `distinct_images.scan` for `data`.
    encoder: The encoder, with the weights to use.
    output_dir: The folder to write to; created if it is missing.
    prefix: The first part of the file names, such as "train".
    options: Options of the computation and storage.
    progress: Called with the number of images that were encoded, or whose
      features an earlier call has written.

  Raises:
    ValueError: If the folder contains features of another encoder with another
      prefix, or a feature is too large for its type.
    CorruptRecordError: If a record can't be used.
  """
  tf.io.gfile.makedirs(output_dir)
  is_resumed = begin_set(
      output_dir,
      prefix,
      encoder,
      data.config,
      description={
          "images": len(images.image_ids),
          "captions": len(images.is_first),
          "source": _digest(images),
          **_describe_words(data, images),
          **options._asdict(),
      },
  )
  path = os.path.join(output_dir, prefix)
  shards = _shards(path, len(images.image_ids), options.num_shards)
  for file in _present_shards(path, set(shards) if is_resumed else set()):
    progress(len(shards.pop(file)))
  numbers = [number for shard in shards.values() for number in shard]
  views = data.explained(_views(data, images, numbers, options))
  for file, shard in shards.items():
    features = _encode(
        itertools.islice(views, len(shard)),
        encoder,
        data.config,
        options,
        progress,
    )
    image_ids = images.image_ids[shard.start : shard.stop]
    captions = [images.word_ids[image_id] for image_id in image_ids]
    _write_shard(file, zip(image_ids, features, captions, strict=True))
  end_set(output_dir, prefix)


def _describe_words(
    data: caption_data.CaptionData, images: distinct_images.Split
) -> dict[str, int]:
  """Returns the largest word id and, if it is known, the vocab_size."""
  fields = dataset_facts.config_fields(data.files)
  captions = itertools.chain.from_iterable(images.word_ids.values())
  largest = max(map(max, filter(None, captions)), default=0)
  return {
      "largest_word_id": largest,
      **{name: fields[name] for name in ("vocab_size",) if name in fields},
  }


def _shards(path: str, num_images: int, num_shards: int) -> dict[str, range]:
  """Returns the file names and the range of images in each."""
  bounds = [num_images * i // num_shards for i in range(num_shards + 1)]
  return {
      f"{path}-{i:05d}-of-{num_shards:05d}": range(*bounds[i : i + 2])
      for i in range(num_shards)
  }


def _present_shards(path: str, wanted: set[str]) -> set[str]:
  """Returns the wanted files that exist, and removes all others."""
  present = set(tf.io.gfile.glob(f"{path}-?????-of-?????*"))
  for file in present - wanted:
    tf.io.gfile.remove(file)
  return present & wanted


def _digest(images: distinct_images.Split) -> str:
  """Returns a hash of the image ids and captions."""
  captions = list(images.word_ids.values())
  text = json.dumps([images.image_ids, captions, images.is_first])
  return hashlib.sha256(text.encode()).hexdigest()


def _views(
    data: caption_data.CaptionData,
    images: distinct_images.Split,
    numbers: Sequence[int],
    options: Options,
) -> tf.data.Dataset:
  """Returns all views of each of some images.

  Args:
    data: The image-caption pairs.
    images: The result of `distinct_images.scan` for `data`.
    numbers: The zero-based numbers of the images, in ascending order.
    options: Options with the number of views and their seed.

  Returns:
    A Dataset of float32 Tensors of shape [num_views, height, width, 3].
  """
  process = networks.preprocess_fn(data.config)

  @tf.autograph.experimental.do_not_convert
  def image_views(index: tf.Tensor, serialized: tf.Tensor) -> tf.Tensor:
    encoded_image = distinct_images.encoded_image(serialized, data)
    views = [process(encoded_image, is_training=False)]
    for view in range(1, options.num_views):
      seed = tf.random.experimental.stateless_fold_in(
          tf.stack([tf.cast(options.seed, tf.int64), index]), view
      )
      # The views alternate between the two orders of colour distortions.
      views.append(
          process(encoded_image, is_training=True, thread_id=view, seed=seed)
      )
    return tf.stack(views)

  return (
      distinct_images.first_records(data, images, numbers)
      .map(
          image_views,
          num_parallel_calls=tf.data.AUTOTUNE,
          deterministic=True,
      )
      .prefetch(max(1, _VIEWS_AHEAD // options.num_views))
  )


def _encode(
    views: Iterator[tf.Tensor],
    encoder: image_embedding.ImageEncoder,
    config: configuration.ModelConfig,
    options: Options,
    progress: Callable[[int], object],
) -> Iterator[np.ndarray]:
  """Yields arrays of shape [num_views, feature_size], one per image."""
  batch_size = max(1, config.batch_size // options.num_views)
  while batch := list(itertools.islice(views, batch_size)):
    features = encoder(tf.concat(batch, axis=0)).numpy()
    with np.errstate(over="ignore"):
      stored = features.astype(options.dtype)
    if not np.isfinite(stored).all():
      raise ValueError(
          f"The encoder returns features up to {features.max()}, which do not"
          f" fit into {options.dtype}. Is the encoder trained?"
      )
    progress(len(batch))
    yield from stored.reshape([len(batch), *batch[0].shape[:1], -1])


def _write_shard(
    path: str, rows: Iterable[tuple[int, np.ndarray, list[list[int]]]]
) -> None:
  # Errors that `rows` raises are not errors of writing.
  with (
      cloud_file.temporary_path(path) as temporary,
      tf.io.TFRecordWriter(temporary) as writer,
  ):
    for row in rows:
      with atomic_files.errors_name(path):
        writer.write(feature_inputs.serialize_feature_example(*row))
    with atomic_files.errors_name(path):
      writer.close()
