"""The encoder's start, from whatever `--inception_checkpoint_file` names.

| it names | what is taken |
| --- | --- |
| TF-Slim's Inception v3, as of 2016 or today | all but its classifiers |
| a checkpoint of an im2txt model, of any age | its encoder |
| a `.h5` or `.keras` file of Keras' `InceptionV3` | all but its classifier |
| the word `keras` | Keras' ImageNet weights, fetched if need be |
"""

from collections.abc import Sequence

from absl import logging
import numpy as np

from im2txt import configuration
from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoint_reader
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import keras_weights
from im2txt.checkpointing import saved_config
from im2txt.ops import image_embedding

_FETCH = "keras"


def load_config(
    source: str,
) -> tuple[configuration.ModelConfig, configuration.TrainingConfig]:
  """The configuration that an encoder was trained with.

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
    _assign(encoder, keras_weights.fetch(), source)
  elif _is_of_keras(source):
    _assign(encoder, keras_weights.read(source), source)
  else:
    checkpoint = checkpoint_paths.find(source)
    if checkpoint_names.has_decoder(checkpoint_reader.shapes(checkpoint)):
      logging.info(
          "%s is of an im2txt model: only its encoder is taken.", checkpoint
      )
    checkpoints.restore(encoder.variables_by_name, checkpoint)


def _is_of_keras(source: str) -> bool:
  return source == _FETCH or source.endswith(checkpoint_reader.KERAS_SUFFIXES)


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
