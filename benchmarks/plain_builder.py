"""Builds the training split as the original did; for comparison only.

For every pair of a photograph and a caption, a thread reads the file, decodes
all its pixels with TensorFlow to validate it, and writes a SequenceExample. The
flags are those of `build_mscoco_data` that `building_data` uses. The training
records are the same, except for their order.
"""

from collections.abc import Sequence
import concurrent.futures
import json
import os
import pathlib

from absl import flags
import numpy as np
import tensorflow as tf

from im2txt.data import tokenizer
from im2txt.data import word_counts
from im2txt.runtime import program

_IMAGE_DIR = flags.DEFINE_string(
    "train_image_dir", "", "See build_mscoco_data."
)
_CAPTIONS_FILE = flags.DEFINE_string(
    "train_captions_file", "", "See build_mscoco_data."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "", "See build_mscoco_data.")
_WORD_COUNTS_OUTPUT_FILE = flags.DEFINE_string(
    "word_counts_output_file", "", "See build_mscoco_data."
)
_NUM_SHARDS = flags.DEFINE_integer("train_shards", 8, "See build_mscoco_data.")
flags.DEFINE_string("val_image_dir", "", "Not used.")
flags.DEFINE_string("val_captions_file", "", "Not used.")

_MIN_WORD_COUNT = 4
_NUM_THREADS = 8


def main(argv: Sequence[str]) -> None:
  """Builds the records."""
  del argv
  content = json.loads(pathlib.Path(_CAPTIONS_FILE.value).read_bytes())
  names = {image["id"]: image["file_name"] for image in content["images"]}
  pairs = [
      (
          a["image_id"],
          ["<S>", *tokenizer.nltk_words(a["caption"].lower()), "</S>"],
      )
      for a in content["annotations"]
  ]
  np.random.default_rng(12345).shuffle(pairs)
  counts = [
      entry
      for entry in word_counts.count_words(words for _, words in pairs)
      if entry[1] >= _MIN_WORD_COUNT
  ]
  word_counts.write(_WORD_COUNTS_OUTPUT_FILE.value, counts)
  ids = word_counts.WordIds.of_counts(counts)
  shards = np.array_split(np.arange(len(pairs)), _NUM_SHARDS.value)

  def write(number: int) -> None:
    path = os.path.join(_OUTPUT_DIR.value, f"plain-{number:05d}")
    with tf.io.TFRecordWriter(path) as writer:
      for image_id, words in (pairs[i] for i in shards[number]):
        data = pathlib.Path(_IMAGE_DIR.value, names[image_id]).read_bytes()
        tf.io.decode_jpeg(data, channels=3)
        writer.write(_serialize(image_id, data, words, ids.of(words)))

  with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    list(pool.map(write, range(_NUM_SHARDS.value)))


def _serialize(
    image_id: int, data: bytes, words: Sequence[str], word_ids: Sequence[int]
) -> bytes:
  example = tf.train.SequenceExample()
  context = example.context.feature
  context["image/image_id"].int64_list.value.append(image_id)
  context["image/data"].bytes_list.value.append(data)
  lists = example.feature_lists.feature_list
  for word, word_id in zip(words, word_ids, strict=True):
    lists["image/caption"].feature.add().bytes_list.value.append(word.encode())
    lists["image/caption_ids"].feature.add().int64_list.value.append(word_id)
  return example.SerializeToString()


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
