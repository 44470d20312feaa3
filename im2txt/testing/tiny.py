"""A model of a few thousand parameters, and TFRecords for it."""

from collections.abc import Sequence
import dataclasses
import os

import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt.ops import feature_inputs

# 0 `a`, 1 `<S>`, 2 `</S>`, 3 to 9 other words, 10 `<UNK>`, 11 unused.
START_ID, END_ID, VOCAB_SIZE = 1, 2, 12
WORDS = ("a", "<S>", "</S>", ".", "red", "green", "blue", "sky", "sea", "on")

CONFIG = configuration.ModelConfig(
    vocab_size=VOCAB_SIZE,
    batch_size=4,
    image_height=75,
    image_width=75,
    resize_height=80,
    resize_width=80,
    inception_depth_multiplier=0.05,
    embedding_size=8,
    num_lstm_units=6,
    num_preprocess_threads=2,
    shuffle_buffer_size=8,
)

# The same for --config_overrides.
OVERRIDES = ",".join(
    f"{field.name}={getattr(CONFIG, field.name)}"
    for field in dataclasses.fields(CONFIG)
    if getattr(CONFIG, field.name) != field.default
)

# The channels of the last block's branches: 16, 2 x 19, 2 x 19 and 16.
FEATURE_SIZE = 108


class FeatureEncoder(tf.Module):
  """A fake encoder for models that are trained on cached features.

  Creating a real one takes seconds. To replace `networks.make_encoder`.
  """

  def __init__(
      self, config=None, *, trainable=False, seed=0, compute_dtype=tf.float32
  ):
    super().__init__()
    del config, trainable, compute_dtype
    name = "InceptionV3/Conv2d_1a_3x3/weights"
    self.feature_size = FEATURE_SIZE
    self.variables_by_name = {
        name: tf.Variable([float(seed)], trainable=False, name=name)
    }


def captions(count: int) -> list[list[int]]:
  """Returns captions of two to four words, the same ones in each call."""
  rng = np.random.default_rng(7)
  return [
      [START_ID, *rng.integers(3, 10, rng.integers(2, 5)).tolist(), END_ID]
      for _ in range(count)
  ]


def write_pairs(
    folder: str, name: str, count: int, captions_per_image: int = 1
) -> str:
  """Writes a file of image-caption pairs as `build_mscoco_data` does.

  Args:
    folder: An existing folder.
    name: The name of the file.
    count: The number of pairs.
    captions_per_image: Number of consecutive records with the same image.

  Returns:
    The path of the file.
  """
  rng = np.random.default_rng(8)
  examples = []
  for number, caption in enumerate(captions(count)):
    image_id, is_another = divmod(number, captions_per_image)
    if not is_another:
      pixels = rng.integers(0, 256, [1, 1, 3]) * np.ones([90, 80, 1])
    example = tf.train.SequenceExample()
    feature = example.context.feature
    feature["image/image_id"].int64_list.value.append(image_id)
    feature["image/data"].bytes_list.value.append(
        tf.io.encode_jpeg(pixels.astype(np.uint8)).numpy()
    )
    lists = example.feature_lists.feature_list
    for word_id in caption:
      word = WORDS[word_id].encode()
      lists["image/caption"].feature.add().bytes_list.value.append(word)
      ids = lists["image/caption_ids"].feature.add().int64_list
      ids.value.append(word_id)
    examples.append(example.SerializeToString())
  return _write(os.path.join(folder, name), examples)


def write_features(
    folder: str, name: str, count: int, word_ids: Sequence[int] = ()
) -> str:
  """Writes a file of cached features with two captions per image.

  Args:
    folder: An existing folder.
    name: The name of the file.
    count: The number of images.
    word_ids: The caption of all images; random captions if empty.

  Returns:
    The path of the file.
  """
  rng = np.random.default_rng(9)
  random_captions = captions(2 * count)
  examples = [
      feature_inputs.serialize_feature_example(
          image_id,
          rng.normal(size=[1, FEATURE_SIZE]).astype(np.float32),
          [list(word_ids)] * 2
          if word_ids
          else random_captions[2 * image_id : 2 * image_id + 2],
      )
      for image_id in range(count)
  ]
  return _write(os.path.join(folder, name), examples)


def write_vocabulary(folder: str, words: Sequence[str] = WORDS) -> str:
  """Writes a vocabulary, of ten words by default; returns its path."""
  path = os.path.join(folder, "word_counts.txt")
  with tf.io.gfile.GFile(path, "w") as file:
    file.write("\n".join(f"{w} {20 - i}" for i, w in enumerate(words)))
  return path


def _write(path: str, examples: Sequence[bytes]) -> str:
  with tf.io.TFRecordWriter(path) as writer:
    for example in examples:
      writer.write(example)
  return path
