"""Initial weights of the encoder, from `--inception_checkpoint_file`.

| value of the flag | weights used |
| --- | --- |
| a checkpoint of TF-Slim's Inception v3, of any age | all but its classifiers |
| a checkpoint of an im2txt model, of any age | its encoder |
| a `.h5` or `.keras` file of Keras' `InceptionV3` | all but its classifier |
| the word `keras` | Keras' ImageNet weights, downloaded if needed |

The networks of Keras and TF-Slim are the same: 94 convolutions, each with a
batch normalization without scale, created in the same order. So Keras' layers
are matched by order. Their names only number the layers of a process.
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
  """Reads the weights of Keras' Inception v3 from a file.

  Args:
    path: The path of a file with weights or a whole model, with or without the
      classifier: `.h5`, `.weights.h5` or `.keras`.

  Returns:
    The float32 arrays kernel, beta, moving mean and moving variance of each
    layer, in the order of the network: 376 in all.

  Raises:
    FileNotFoundError: If the file does not exist.
    ValueError: If the file does not contain such a network.
  """
  if not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
    raise FileNotFoundError(f"There is no Keras file {path!r}.")
  import keras

  try:
    if path.endswith(".keras"):
      # In safe mode, code in the file is not run.
      model = keras.saving.load_model(path, compile=False, safe_mode=True)
      return _in_order(model)
    return _in_order(_load_weights(path))
  except (ValueError, TypeError, KeyError, OSError) as error:
    if what := failed_downloads.describe(path):
      raise ValueError(f"{path} {what}.") from error
    raise ValueError(
        f"{path} does not contain Keras' InceptionV3:"
        f" {str(error).partition(chr(10))[0]}"
    ) from error


def fetch() -> list[np.ndarray]:
  """Returns Keras' ImageNet weights, which Keras downloads once and caches.

  Returns:
    The arrays; see `read`.

  Raises:
    ConnectionError: If they are not cached and can't be downloaded.
  """
  import keras

  try:
    model = keras.applications.InceptionV3(include_top=False)
  except Exception as error:
    # Keras has no class of its own for download errors.
    if not isinstance(error.__context__, OSError):
      raise
    raise ConnectionError(
        "Keras' ImageNet weights could not be downloaded. Download the file on"
        " a computer with internet access and pass its path as"
        " --inception_checkpoint_file."
        f" ({error})"
    ) from error
  return _in_order(model)


def _load_weights(path: str) -> Any:
  """Returns Keras' network with the weights of an HDF5 file."""
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
  """Returns the number of classes of the classifier, if there is one."""
  sizes = []

  def visit(name, item):
    del name
    # Only the kernel of the classifier has two axes.
    if hasattr(item, "shape") and len(item.shape) == 2:
      sizes.append(item.shape[1])

  file.visititems(visit)
  return sizes[0] if sizes else None


def _in_order(model: Any) -> list[np.ndarray]:
  """Returns the arrays of a Keras model in the order of creation."""
  pairs = zip(
      _by_creation(model.layers, "Conv2D"),
      _by_creation(model.layers, "BatchNormalization"),
      strict=True,
  )
  arrays = []
  for convolution, normalization in pairs:
    arrays += convolution.get_weights() + normalization.get_weights()
  if len(arrays) != 4 * _NUM_LAYERS:
    raise ValueError(
        f"It has {len(arrays)} arrays in its convolutions and batch"
        f" normalizations instead of {4 * _NUM_LAYERS}."
    )
  return arrays


def _by_creation(layers: Sequence[Any], kind: str) -> Iterator[Any]:
  """Returns the layers of a kind in the order of creation, not of depth."""
  chosen = [layer for layer in layers if type(layer).__name__ == kind]
  return iter(sorted(chosen, key=_number))


def _number(layer: Any) -> int:
  """Returns the number in a layer's name, which Keras counts per kind."""
  match = re.search(r"_(\d+)$", layer.name)
  return int(match[1]) if match else 0


def load_config(
    source: str,
) -> tuple[configuration.ModelConfig, configuration.TrainingConfig]:
  """Loads the configuration with which an encoder was trained.

  Args:
    source: The source of the weights; see `restore`.

  Returns:
    The model and the training configuration, saved beside the weights or
    default.

  Raises:
    FileNotFoundError: If the checkpoint does not exist.
    ValueError: If the configuration or the checkpoint is not valid.
  """
  if _is_of_keras(source):
    return configuration.ModelConfig(), configuration.TrainingConfig()
  return saved_config.load(checkpoint_paths.find(source))


def restore(encoder: image_embedding.ImageEncoder, source: str) -> None:
  """Restores an encoder's weights and logs their source.

  Args:
    encoder: The encoder.
    source: The path of a checkpoint, of a folder for its newest checkpoint, or
      of a file of Keras; or the word "keras".

  Raises:
    FileNotFoundError: If the file does not exist.
    ConnectionError: If Keras' weights can't be downloaded.
    ValueError: If the file has no such encoder, or one of another width.
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
          "%s is an im2txt model: only its encoder is used.", checkpoint
      )
    checkpoints.restore(encoder.variables_by_name, checkpoint)


def _is_of_keras(source: str) -> bool:
  return source == _FETCH or source.endswith(checkpoints.KERAS_SUFFIXES)


def _assign(
    encoder: image_embedding.ImageEncoder,
    arrays: Sequence[np.ndarray],
    source: str,
) -> None:
  """Assigns arrays in the order in which TF-Slim created the variables."""
  variables = encoder.variables_by_name
  for (name, variable), array in zip(variables.items(), arrays, strict=True):
    checkpoints.check_shape(name, variable.shape, array.shape, source)
  for variable, array in zip(variables.values(), arrays, strict=True):
    variable.assign(array)
