"""Synthetic training data: records of photographs or features, and captions.

The captions are as long as MSCOCO's: 12.5 words on average, including the start
and end word.
"""

import os

import numpy as np

from benchmarks import photographs
from im2txt import configuration

_START_ID, _END_ID = 1, 2
_FEATURE_SIZE = 2048  # The feature size of the full-width encoder.


def caption(rng: np.random.Generator, vocab_size: int) -> list[int]:
  """Returns the random word ids of a caption; frequent words have small ids."""
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
    A list of the single file.
  """
  import tensorflow as tf

  rng = np.random.default_rng(1)
  path = os.path.join(folder, "train-00000-of-00001")
  with tf.io.TFRecordWriter(path) as writer:
    for image_id in range(count):
      example = tf.train.SequenceExample()
      context = example.context.feature
      context["image/image_id"].int64_list.value.append(image_id)
      context[config.image_feature_name].bytes_list.value.append(
          photographs.jpeg(rng)
      )
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
    A list of the single file.
  """
  import tensorflow as tf

  from im2txt.ops import feature_inputs

  rng = np.random.default_rng(2)
  path = os.path.join(folder, "features-00000-of-00001")
  with tf.io.TFRecordWriter(path) as writer:
    for image_id in range(count):
      features = np.maximum(0, rng.normal(size=[1, _FEATURE_SIZE]))
      captions = [caption(rng, config.vocab_size) for _ in range(5)]
      writer.write(
          feature_inputs.serialize_feature_example(
              image_id, features.astype(np.float16), captions
          )
      )
  return [path]
