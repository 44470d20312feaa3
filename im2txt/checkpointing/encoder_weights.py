"""Initial weights of the encoder, from `--inception_checkpoint_file`.

| value of the flag | what is taken |
| --- | --- |
| TF-Slim's Inception v3, of 2016 or today | all but its classifiers |
| a checkpoint of an im2txt model, of any age | its encoder |
| a `.h5` or `.keras` file of Keras' `InceptionV3` | all but its classifier |
| the word `keras` | Keras' ImageNet weights, downloaded if needed |

Keras' network and TF-Slim's are the same: 94 convolutions, each with a batch
normalisation without scale, made in the same order from the image on. So Keras'
layers are matched by their order, not by their names, which only say how many
layers the process had made before.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import re
from typing import Any

from absl import logging
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import saved_config
from im2txt.ops import image_embedding
from im2txt.runtime import failed_downloads

_NUM_LAYERS = 94


_FETCH = "keras"


def read(path: str) -> list[np.ndarray]:
  """Returns the weights of Keras' Inception v3 in a file.

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
  """Returns how many classes the classifier has, if there is one."""
  sizes = []

  def visit(name, item):
    del name
    # The classifier's offsets aside, all of two axes is its kernel.
    if hasattr(item, "shape") and len(item.shape) == 2:
      sizes.append(item.shape[1])

  file.visititems(visit)
  return sizes[0] if sizes else None


def _in_order(model: Any) -> list[np.ndarray]:
  """Returns the arrays of a Keras model in the order of creation."""
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
  """Returns the layers of a kind in the order of creation, not of depth."""
  chosen = [layer for layer in layers if type(layer).__name__ == kind]
  return iter(sorted(chosen, key=_number))


def _number(layer: Any) -> int:
  """Keras numbers the layers of a kind as it makes them, from `conv2d` on."""
  match = re.search(r"_(\d+)$", layer.name)
  return int(match[1]) if match else 0


def load_config(
    source: str,
) -> tuple[configuration.ModelConfig, configuration.TrainingConfig]:
  """Returns the configuration that an encoder was trained with.

  Args:
    source: As for `restore`.

  Returns:
    The configurations saved beside the weights; the defaults if there are none.

  Raises:
    FileNotFoundError: If there is no such checkpoint.
    ValueError: If what is there can't be used.
  """
  if _is_of_keras(source):
    return configuration.ModelConfig(), configuration.TrainingConfig()
  return saved_config.load(checkpoint_paths.find(source))


def restore(encoder: image_embedding.ImageEncoder, source: str) -> None:
  """Gives an encoder its weights, saying in the log which.

  Args:
    encoder: The encoder.
    source: A checkpoint, or a folder, whose newest one is taken; a file of
      Keras; or the word "keras".

  Raises:
    FileNotFoundError: If there is no such file.
    ConnectionError: If Keras' weights can't be fetched.
    ValueError: If the file is of something else, or of another width.
  """
  logging.info("Restoring Inception variables from checkpoint file %s", source)
  if source == _FETCH:
    _assign(encoder, fetch(), source)
  elif _is_of_keras(source):
    _assign(encoder, read(source), source)
  else:
    checkpoint = checkpoint_paths.find(source)
    if checkpoint_names.has_decoder(checkpoints.shapes(checkpoint)):
      logging.info(
          "%s is of an im2txt model: only its encoder is taken.", checkpoint
      )
    checkpoints.restore(encoder.variables_by_name, checkpoint)


def _is_of_keras(source: str) -> bool:
  return source == _FETCH or source.endswith(checkpoints.KERAS_SUFFIXES)


def _assign(
    encoder: image_embedding.ImageEncoder,
    arrays: Sequence[np.ndarray],
    source: str,
) -> None:
  """Assigns arrays in the order in which TF-Slim made the variables."""
  variables = encoder.variables_by_name
  for (name, variable), array in zip(variables.items(), arrays, strict=True):
    checkpoints.check_shape(name, variable.shape, array.shape, source)
  for variable, array in zip(variables.values(), arrays, strict=True):
    variable.assign(array)
