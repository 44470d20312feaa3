"""An exported SavedModel as a model for `captioning.Captioner`.

`saved_model_export` writes such folders. To run them, TensorFlow is enough.
"""

import os
from typing import Any

from absl import logging
import tensorflow as tf

from im2txt.runtime import failed_downloads

# Name of the vocabulary in the SavedModel's assets.
VOCAB_FILE = "words.txt"

_FILE_NAME = "saved_model.pb"


def is_saved_model(folder: str) -> bool:
  """Returns whether a folder holds a SavedModel of any kind of model."""
  return tf.io.gfile.exists(os.path.join(folder, _FILE_NAME))


def vocab_file(folder: str) -> str:
  """Returns the path of the vocabulary in a SavedModel of an im2txt model."""
  return os.path.join(folder, tf.saved_model.ASSETS_DIRECTORY, VOCAB_FILE)


class SavedModel:
  """A `model_loader.CaptionModel` from a SavedModel.

  Attributes:
    vocab_size: Number of words in the vocabulary of the model.
  """

  def __init__(self, folder: str):
    """Loads a SavedModel and logs it.

    Args:
      folder: A folder that `saved_model_export.write` wrote.

    Raises:
      ValueError: If the SavedModel is damaged or holds another kind of model.
    """
    logging.info("Loading model from SavedModel: %s", folder)
    self._loaded = _load(folder)
    try:
      decode_step = self._loaded.signatures["decode_step"]
      # These names are in the exported files and must not change.
      self._preprocess_image = self._loaded.prepare_image
      self._initial_states = self._loaded.image_states
      self._decode_step = self._loaded.decode_step
    except (AttributeError, KeyError) as error:
      raise ValueError(
          f"The SavedModel {folder} was not written by export_model."
      ) from error
    self.vocab_size: int = decode_step.output_shapes["probabilities"][-1]

  def preprocess_image(self, encoded_image: tf.Tensor) -> tf.Tensor:
    """Decodes an image; see `model_loader.CaptionModel`."""
    return self._preprocess_image(encoded_image)

  def initial_states(self, images: tf.Tensor) -> tf.Tensor:
    """See `ShowAndTellModel.initial_states`."""
    return self._initial_states(images)

  def decode_step(
      self, input_ids: tf.Tensor, state: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """See `CaptionDecoder.decode_step`."""
    outputs = self._decode_step(tf.cast(input_ids, tf.int64), state)
    return outputs["probabilities"], outputs["state"]


def _load(folder: str) -> Any:
  """Loads a SavedModel; a ValueError names the damaged file, if it is known."""
  try:
    return tf.saved_model.load(folder)
  except (
      OSError,
      ValueError,
      IndexError,
      RuntimeError,
      tf.errors.OpError,
  ) as error:
    files = [
        os.path.join(folder, _FILE_NAME),
        *sorted(tf.io.gfile.glob(os.path.join(folder, "variables", "*"))),
    ]
    for file in files:
      if what := failed_downloads.describe(file):
        raise ValueError(f"{file} {what}.") from error
    reason = str(error).partition("\n")[0]
    raise ValueError(
        f"The SavedModel {folder} can't be loaded; copy all of its files again."
        f" {reason}"
    ) from error
