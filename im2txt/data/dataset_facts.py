"""Reads the metadata of data sets: numbers of words and captions.

`build_caption_data` writes `dataset.json` beside the records:

    {
      "tokenizer": "nltk",
      "vocab_size": 2932,
      "splits": {
        "train": {"images": 6000, "captions": 30000, "largest_word_id": 2931},
        ...
      }
    }

`cache_image_features` writes the same numbers for each set to `features.json`.
A data set of `build_mscoco_data` has neither file, and the released
configuration fits it.
"""

from collections.abc import Sequence
import json
import os
from typing import Any

import tensorflow as tf

from im2txt.ops import tfrecords

_RECORDS_FILE = "dataset.json"
FEATURES_FILE = "features.json"


def config_fields(
    files: Sequence[str], *, are_features: bool = False
) -> dict[str, int]:
  """Returns the configuration fields that depend on the data set.

  Args:
    files: Names of the TFRecord files to train on.
    are_features: Whether the files contain cached features instead of images.

  Returns:
    `vocab_size`, the number of word ids including that of the unknown word, and
    `num_examples_per_epoch`, the number of captions. Empty if the metadata of
    any data set are missing.
  """
  sets = _describe_sets(files, are_features)
  try:
    return {
        "vocab_size": max(int(s["vocab_size"]) for s in sets),
        "num_examples_per_epoch": sum(int(s["captions"]) for s in sets),
    }
  except (KeyError, TypeError, ValueError):
    return {}


def largest_word_id(
    files: Sequence[str], *, are_features: bool = False
) -> int | None:
  """Returns the largest word id in the captions; None if it is unknown.

  Args:
    files: See `config_fields`.
    are_features: See `config_fields`.
  """
  try:
    return max(
        int(s["largest_word_id"]) for s in _describe_sets(files, are_features)
    )
  except (KeyError, TypeError, ValueError):
    return None


def _describe_sets(
    files: Sequence[str], are_features: bool
) -> list[dict[str, Any]]:
  """Returns the metadata of each set of shards; empty if any are missing."""
  sets = set()
  for file in files:
    shard = tfrecords.shard_name(file)
    if not shard:
      return []
    sets.add(os.path.split(shard.data_set))
  described = []
  for folder, name in sorted(sets):
    content = _read_json(
        os.path.join(folder, FEATURES_FILE if are_features else _RECORDS_FILE)
    )
    try:
      of_set = content["sets" if are_features else "splits"][name]
      described.append({**content, **of_set})
    except (KeyError, TypeError):
      return []
  return described


def _read_json(path: str) -> Any:
  """Returns the contents of a file; None if it is missing or not JSON."""
  if not tf.io.gfile.exists(path):
    return None
  with tf.io.gfile.GFile(path, "rb") as file:
    content = file.read()
  try:
    return json.loads(content)
  except ValueError:
    return None
