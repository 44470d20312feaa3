"""Made-up training data: records of photographs, or of features, and captions.

The photographs are noise of two scales, 640 x 480 pixels and 90 kB, and the
captions as long as MSCOCO's: 12.5 words with start and end word, in the mean.
"""

import io
import os

import numpy as np
from PIL import Image

from im2txt import configuration

_START_ID, _END_ID = 1, 2
_FEATURE_SIZE = 2048  # Of the encoder at its full width.


def caption(rng: np.random.Generator, vocab_size: int) -> list[int]:
  """A made-up caption's word ids, frequent words first as in a vocabulary."""
  num_words = 6 + rng.poisson(4.5)
  words = np.minimum(rng.zipf(1.3, size=num_words), vocab_size - 1)
  return [_START_ID, *words.tolist(), _END_ID]


def write_images(
    folder: str, config: configuration.ModelConfig, count: int
) -> list[str]:
  """Writes image-caption pairs as `build_mscoco_data` does.

  Args:
    folder: An existing folder.
    config: The model's configuration.
    count: The number of pairs.

  Returns:
    The name of the file.
  """
  import tensorflow as tf

  rng = np.random.default_rng(1)
  path = os.path.join(folder, "train-00000-of-00001")
  with tf.io.TFRecordWriter(path) as writer:
    for image_id in range(count):
      example = tf.train.SequenceExample()
      context = example.context.feature
      context["image/image_id"].int64_list.value.append(image_id)
      context[config.image_feature_name].bytes_list.value.append(_jpeg(rng))
      ids = example.feature_lists.feature_list[config.caption_feature_name]
      for word_id in caption(rng, config.vocab_size):
        ids.feature.add().int64_list.value.append(word_id)
      writer.write(example.SerializeToString())
  return [path]


def write_features(
    folder: str, config: configuration.ModelConfig, count: int
) -> list[str]:
  """Writes features of images with five captions each.

  Args:
    folder: An existing folder.
    config: The model's configuration.
    count: The number of images.

  Returns:
    The name of the file.
  """
  import tensorflow as tf

  from im2txt.ops import feature_records

  rng = np.random.default_rng(2)
  path = os.path.join(folder, "features-00000-of-00001")
  with tf.io.TFRecordWriter(path) as writer:
    for image_id in range(count):
      features = np.maximum(0, rng.normal(size=[1, _FEATURE_SIZE]))
      captions = [caption(rng, config.vocab_size) for _ in range(5)]
      writer.write(
          feature_records.serialize_feature_example(
              image_id, features.astype(np.float16), captions
          )
      )
  return [path]


def _jpeg(rng: np.random.Generator) -> bytes:
  coarse = rng.integers(0, 256, [30, 40, 3], dtype=np.uint8)
  photo = Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)
  grain = rng.normal(0, 7, [480, 640, 1])
  pixels = np.clip(np.asarray(photo) + grain, 0, 255).astype(np.uint8)
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, format="jpeg", quality=90)
  return file.getvalue()
