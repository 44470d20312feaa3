"""Computes the features of each distinct image once, and keeps them in files.

While the encoder is frozen, training needs the features of an image only. The
builder writes an image once for each of its captions; here it is encoded once,
and its record holds all its captions:

    train-00000-of-00256 ... --> encoder --> OUTPUT_DIR/train-00000-of-00008 ...
                                             OUTPUT_DIR/features.json

Features are of use only with the encoder that computed them, which
`features.json` identifies:

    {
      "fingerprint": of the encoder's weights and of the preprocessing,
      "preprocessing": {"image_height": 299, ...},
      "sets": {"train": {"images": ..., "captions": ..., ...}, "val": ...},
      "unfinished": {"test": {"images": ..., "captions": ..., ...}}
    }

An interrupted run resumes with the missing files. No batch has images of two
files, so the result is the same, byte for byte.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import hashlib
import itertools
import json
import os
import re
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
from im2txt.runtime import atomic_files
from im2txt.runtime import cloud_file

_SHARD_SUFFIX = re.compile(r"-\d{5}-of-\d{5}$")

_VIEWS_AHEAD = 64


def begin_set(
    folder: str,
    prefix: str,
    encoder: image_embedding.ImageEncoder,
    config: configuration.ModelConfig,
    description: dict[str, Any],
) -> bool:
  """Notes that the files of a set are being written.

  Args:
    folder: The folder of the files, which exists.
    prefix: The set's name.
    encoder: The encoder whose features will be written.
    config: The model's configuration.
    description: What else the set's files depend on, as JSON has it.

  Returns:
    Whether the very same set was begun before and not ended.

  Raises:
    ValueError: If other sets that are whole come from another encoder.
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
        f"{folder} holds features of another encoder"
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
  """Notes that all files of a set that was begun are whole."""
  metadata = _read(folder) or {}
  metadata["sets"][prefix] = metadata["unfinished"].pop(prefix)
  _write(folder, metadata)


def check_encoder(
    files: Sequence[str],
    encoder: image_embedding.ImageEncoder,
    config: configuration.ModelConfig,
) -> None:
  """Checks that cached features are those of an encoder.

  Args:
    files: Names of files with cached features.
    encoder: The encoder, with its weights.
    config: The model's configuration.

  Raises:
    ValueError: If the files are not known to be whole, or the features come
      from other weights or another preprocessing.
  """
  fingerprint = networks.fingerprint(encoder, config)
  ours = networks.preprocessing_fields(config)
  for folder in sorted({os.path.dirname(file) for file in files}):
    metadata = _read(folder) or {"sets": {}}
    for file in files:
      prefix = _SHARD_SUFFIX.sub("", os.path.basename(file))
      if os.path.dirname(file) == folder and prefix not in metadata["sets"]:
        raise ValueError(
            f"{_path(folder)} says nothing of {prefix!r}, so"
            f" {file} was not written to the end. Run cache_image_features."
        )
    for name, cached in metadata["preprocessing"].items():
      if cached != ours[name]:
        raise ValueError(
            f"The features in {folder!r} were made with {name}={cached}, but"
            f" the model has {name}={ours[name]}."
        )
    if metadata["fingerprint"] != fingerprint:
      raise ValueError(
          f"The features in {folder!r} were made by an encoder with other"
          " weights than the model's. Cache them anew with this encoder."
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
  """Writes the metadata of a folder, whole or not at all."""
  content = json.dumps(metadata, indent=2) + "\n"
  cloud_file.write(content.encode(), _path(folder))


class Options(NamedTuple):
  """How the features of a set of images are made and stored.

  Attributes:
    num_views: How often an image is encoded: once in its central crop, and
      otherwise as training distorts it.
    num_shards: The number of files to write.
    seed: Of the distortions.
    dtype: "float16", which ends at 65504, or "float32".
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

  Files of that prefix are replaced, but those of an earlier run of the same
  call, if it did not get to its end, are kept.

  Args:
    data: The image-caption pairs.
    images: What `distinct_images.scan` found in them.
    encoder: The encoder, with the weights to use.
    output_dir: The folder to write to; made if it is missing.
    prefix: The first part of the files' names, such as "train".
    options: How the features are made and stored.
    progress: Called with the number of images that were encoded, or found so.

  Raises:
    ValueError: If the folder holds features of another encoder under another
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
  """Returns the largest word id and, if the records say, the vocab_size."""
  fields = dataset_facts.config_fields(data.files)
  captions = itertools.chain.from_iterable(images.word_ids.values())
  largest = max(map(max, filter(None, captions)), default=0)
  return {
      "largest_word_id": largest,
      **{name: fields[name] for name in ("vocab_size",) if name in fields},
  }


def _shards(path: str, num_images: int, num_shards: int) -> dict[str, range]:
  """Returns the names of files and which images are to be in each."""
  bounds = [num_images * i // num_shards for i in range(num_shards + 1)]
  return {
      f"{path}-{i:05d}-of-{num_shards:05d}": range(*bounds[i : i + 2])
      for i in range(num_shards)
  }


def _present_shards(path: str, wanted: set[str]) -> set[str]:
  """Returns the wanted files that are there; removes all others."""
  present = set(tf.io.gfile.glob(f"{path}-?????-of-?????*"))
  for file in present - wanted:
    tf.io.gfile.remove(file)
  return present & wanted


def _digest(images: distinct_images.Split) -> str:
  """Identifies the images, by their ids, and their captions."""
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
    images: What `distinct_images.scan` found in them.
    numbers: Which of the images, in ascending order.
    options: How many views, and their seed.

  Returns:
    A Dataset of float32 Tensors, [num_views, height, width, 3].
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
      # The two orders of the colour distortions by turns.
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
          f"The encoder gives features up to {features.max()}, which"
          f" {options.dtype} can't hold. Is it a trained one?"
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
