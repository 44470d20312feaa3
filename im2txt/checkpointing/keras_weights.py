"""Keras' Inception v3 as an encoder's start.

    weights of Keras' layers -> by the order of the network -> TF-Slim's names

Both networks are the same: 94 convolutions, each with a batch normalisation
without scale, made in the same order from the image on. So nothing depends on
the names in a file, which say only how many layers its process made before.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import re
from typing import Any

import numpy as np
import tensorflow as tf

from im2txt.runtime import failed_downloads

_NUM_LAYERS = 94


def read(path: str) -> list[np.ndarray]:
  """The weights of Keras' Inception v3 in a file.

  Args:
    path: A file of weights or of a whole model, with or without the classifier:
      `.h5`, `.weights.h5` or `.keras`.

  Returns:
    For each layer in the order of the network its float32 arrays kernel, beta,
    moving mean and moving variance: 376 in all.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If it does not hold such a network.
  """
  if not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
    raise FileNotFoundError(f"There is no Keras file {path!r}.")
  import keras

  try:
    if path.endswith(".keras"):
      # In the safe mode, the file can't bring code of its own.
      model = keras.saving.load_model(path, compile=False, safe_mode=True)
      return _in_order(model)
    return _in_order(_load_weights(path))
  except (ValueError, TypeError, KeyError, OSError) as error:
    if what := failed_downloads.describe(path):
      raise ValueError(f"{path} {what}.") from error
    raise ValueError(
        f"{path} does not hold Keras' InceptionV3:"
        f" {str(error).partition(chr(10))[0]}"
    ) from error


def fetch() -> list[np.ndarray]:
  """Keras' weights of ImageNet, fetched once and then kept by Keras.

  Returns:
    See `read`.

  Raises:
    ConnectionError: If they are not there and can't be fetched.
  """
  import keras

  try:
    model = keras.applications.InceptionV3(include_top=False)
  except Exception as error:
    # Keras has no class of its own for that.
    if not isinstance(error.__context__, OSError):
      raise
    raise ConnectionError(
        "Keras' ImageNet weights could not be fetched. Fetch the file where"
        " there is a network and give its path as --inception_checkpoint_file."
        f" ({error})"
    ) from error
  return _in_order(model)


def _load_weights(path: str) -> Any:
  """Keras' network with the weights of a file in HDF5."""
  import h5py
  import keras

  with h5py.File(path) as file:
    num_classes = _num_classes(file)
  model = keras.applications.InceptionV3(
      weights=None,
      include_top=num_classes is not None,
      classes=num_classes or 1000,
  )
  model.load_weights(path)
  return model


def _num_classes(file) -> int | None:
  """How many classes the classifier has, if there is one."""
  sizes = []

  def visit(name, item):
    del name
    # The classifier's offsets aside, all of two axes is its kernel.
    if hasattr(item, "shape") and len(item.shape) == 2:
      sizes.append(item.shape[1])

  file.visititems(visit)
  return sizes[0] if sizes else None


def _in_order(model: Any) -> list[np.ndarray]:
  """The arrays of a Keras model in the order in which its layers were made."""
  pairs = zip(
      _made(model.layers, "Conv2D"),
      _made(model.layers, "BatchNormalization"),
      strict=True,
  )
  arrays = []
  for convolution, normalization in pairs:
    arrays += convolution.get_weights() + normalization.get_weights()
  if len(arrays) != 4 * _NUM_LAYERS:
    raise ValueError(
        f"It has {len(arrays)} arrays in its convolutions and normalisations,"
        f" not {4 * _NUM_LAYERS}."
    )
  return arrays


def _made(layers: Sequence[Any], kind: str) -> Iterator[Any]:
  """The layers of a kind; `model.layers` has them by their depth instead."""
  chosen = [layer for layer in layers if type(layer).__name__ == kind]
  return iter(sorted(chosen, key=_number))


def _number(layer: Any) -> int:
  """Keras numbers the layers of a kind as it makes them, from `conv2d` on."""
  match = re.search(r"_(\d+)$", layer.name)
  return int(match[1]) if match else 0
