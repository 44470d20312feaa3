"""The interface of captioning models; finds and loads them."""

from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import saved_config
from im2txt.inference import ensemble
from im2txt.inference import frozen_graph
from im2txt.inference import inference_model
from im2txt.inference import saved_model
from im2txt.inference_utils import vocabulary


class CaptionModel(Protocol):
  """A model that captions images.

  Implemented by `InferenceModel`, `Ensemble`, `ShowAndTellModel`,
  `FrozenGraph` and `SavedModel`.
  """

  @property
  def vocab_size(self) -> int:
    """Number of words in the vocabulary of the model."""

  def preprocess_image(self, encoded_image: tf.Tensor) -> tf.Tensor:
    """Decodes and preprocesses one image; called in threads.

    Args:
      encoded_image: A scalar string Tensor, the content of a JPEG or PNG file.

    Returns:
      A Tensor for `initial_states`, whose shape is the same for all images.
    """

  def initial_states(self, images: tf.Tensor) -> tf.Tensor:
    """Computes the decoder states before the start word.

    Args:
      images: Preprocessed images, a Tensor of shape [batch_size, ...].

    Returns:
      A float32 Tensor of shape [batch_size, state_size].
    """

  def decode_step(
      self, input_ids: tf.Tensor, state: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """See `CaptionDecoder.decode_step`."""


def vocab_file(paths: Sequence[str]) -> str:
  """Returns the vocabulary file of a SavedModel, if it is the only path."""
  if len(paths) == 1 and saved_model.is_saved_model(paths[0]):
    return saved_model.vocab_file(paths[0])
  return ""


def resolve(paths: str | Sequence[str]) -> list[str]:
  """Finds the models at paths that a user gave.

  Args:
    paths: A list of paths, or paths separated by commas; a path that contains a
      comma must be the only one. A path is a frozen graph, whose name ends in
      ".pb", the folder of a SavedModel, or a checkpoint or folder as for
      `checkpoint_paths.find`.

  Returns:
    The path of each exported model or checkpoint, without suffix, for `load`.

  Raises:
    FileNotFoundError: If a checkpoint does not exist, or `paths` has no path.
  """
  if not isinstance(paths, str):
    return [_find(path) for path in paths]
  if (
      "," not in paths
      or tf.io.gfile.exists(paths)
      or checkpoint_paths.exists(paths)
  ):
    return [_find(paths)]
  separate = [_find(p.strip()) for p in paths.split(",") if p.strip()]
  if not separate:
    raise FileNotFoundError(f"No checkpoint found at: {paths}")
  return separate


def load(
    paths: Sequence[str],
    vocab: vocabulary.Vocabulary,
    config_overrides: str = "",
    *,
    precision: str = "float32",
) -> CaptionModel:
  """Loads a model, or several as an ensemble.

  Args:
    paths: The paths that `resolve` returned.
    vocab: The vocabulary that the models were trained with.
    config_overrides: Changes to the configuration of each model, in the form
      "field=value,field=value".
    precision: Data type in which the encoder computes: "float32" or "bfloat16".

  Returns:
    The model.

  Raises:
    FileNotFoundError: If a model does not exist.
    ValueError: If the models, the vocabulary and the configuration do not
      match.
  """
  if not paths:
    raise ValueError("At least one checkpoint is needed. Got none.")
  exported = [path for path in paths if _is_exported(path)]
  if exported and len(paths) > 1:
    raise ValueError(
        f"An ensemble consists of checkpoints, but {exported[0]} is an exported"
        " model. Use the checkpoint that it was exported from."
    )
  if exported:
    return _load_exported(exported[0], config_overrides, precision)
  configs = [saved_config.load(path, config_overrides)[0] for path in paths]
  # Checked first, because building a model takes a while.
  for config in configs:
    vocab.check_fits(config.vocab_size)
  if len(paths) > 1:
    return ensemble.load(configs, paths, precision)
  return inference_model.InferenceModel(configs[0], paths[0], precision)


def _find(path: str) -> str:
  return path if _is_exported(path) else checkpoint_paths.find(path)


def _is_exported(path: str) -> bool:
  return path.endswith(frozen_graph.SUFFIX) or saved_model.is_saved_model(path)


def _load_exported(
    path: str, config_overrides: str, precision: str
) -> CaptionModel:
  if config_overrides or precision != "float32":
    raise ValueError(
        "The configuration and precision of an exported model are fixed: omit"
        " --config_overrides and --precision. Got:"
        f" {config_overrides!r} and {precision!r}."
    )
  if saved_model.is_saved_model(path):
    return saved_model.SavedModel(path)
  return frozen_graph.FrozenGraph.load(path)
