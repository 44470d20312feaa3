"""Whose features the files of a folder hold: its `features.json`.

    {
      "fingerprint": of the encoder's weights and of the preprocessing,
      "preprocessing": {"image_height": 299, ...},
      "sets": {"train": {"images": ..., "captions": ..., ...}, "val": ...},
      "unfinished": {"test": {"images": ..., "captions": ..., ...}}
    }

A set, such as the files `train-?????-of-?????`, is in "sets" when all its files
are whole, and before in "unfinished", so that it can be continued.
"""

from collections.abc import Sequence
import json
import os
import re
from typing import Any

import tensorflow as tf

from im2txt import configuration
from im2txt import encoders
from im2txt.ops import image_embedding
from im2txt.runtime import cloud_file

FILE_NAME = "features.json"

_SHARD_SUFFIX = re.compile(r"-\d{5}-of-\d{5}$")


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
      "fingerprint": encoders.fingerprint(encoder, config),
      "preprocessing": encoders.preprocessing(config),
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
  fingerprint = encoders.fingerprint(encoder, config)
  ours = encoders.preprocessing(config)
  for folder in sorted({os.path.dirname(file) for file in files}):
    metadata = _read(folder) or {"sets": {}}
    for file in files:
      prefix = _SHARD_SUFFIX.sub("", os.path.basename(file))
      if os.path.dirname(file) == folder and prefix not in metadata["sets"]:
        raise ValueError(
            f"{os.path.join(folder, FILE_NAME)} says nothing of {prefix!r}, so"
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


def _read(folder: str) -> dict[str, Any] | None:
  path = os.path.join(folder, FILE_NAME)
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
  path = os.path.join(folder, FILE_NAME)
  cloud_file.write((json.dumps(metadata, indent=2) + "\n").encode(), path)
