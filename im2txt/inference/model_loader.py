"""The interface of a captioning model, and finding and loading one."""

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
    """The number of words that the model knows."""

  def prepare_image(self, encoded_image: tf.Tensor) -> tf.Tensor:
    """Does what is done with each image alone; called in threads.

    Args:
      encoded_image: A scalar string Tensor, a whole JPEG or PNG file.

    Returns:
      What `image_states` takes of the image, of always the same shape.
    """

  def image_states(self, images: tf.Tensor) -> tf.Tensor:
    """The states of captions before the start word.

    Args:
      images: Prepared images, in a Tensor of shape [batch_size, ...].

    Returns:
      A float32 Tensor of shape [batch_size, state_size].
    """

  def decode_step(
      self, input_ids: tf.Tensor, state: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """See `CaptionDecoder.decode_step`."""


def find(path: str) -> str:
  """The model at a path that a user gave.

  Args:
    path: A frozen graph, a file whose name ends in ".pb", the folder of a
      SavedModel, or what `checkpoint_paths.find` takes.

  Returns:
    The path of what was exported, or the checkpoint's, without suffix.

  Raises:
    FileNotFoundError: If there is no such checkpoint.
  """
  return path if _is_exported(path) else checkpoint_paths.find(path)


def words_file(paths: Sequence[str]) -> str:
  """The vocabulary's file in a SavedModel, the only path; else ""."""
  if len(paths) == 1 and saved_model.is_saved_model(paths[0]):
    return saved_model.words_file(paths[0])
  return ""


def find_all(paths: str) -> list[str]:
  """The models of an ensemble that a user lists.

  Args:
    paths: What `find` takes; several are separated by commas. A name that holds
      a comma stands alone.

  Returns:
    The models' paths.

  Raises:
    FileNotFoundError: If there is no model, or not one of them.
  """
  if (
      "," not in paths
      or tf.io.gfile.exists(paths)
      or checkpoint_paths.exists(paths)
  ):
    return [find(paths)]
  separate = [find(p.strip()) for p in paths.split(",") if p.strip()]
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
    paths: What `find` takes.
    vocab: The vocabulary that all were trained with.
    config_overrides: As of `captioning.Captioner.load`, for each of them.
    precision: As of `captioning.Captioner.load`.

  Returns:
    The model.

  Raises:
    FileNotFoundError: If one of them is not there.
    ValueError: If these don't fit each other or the configuration.
  """
  if not paths:
    raise ValueError("A checkpoint is needed, or several. Got none.")
  found = [find(path) for path in paths]
  exported = [path for path in found if _is_exported(path)]
  if exported and len(found) > 1:
    raise ValueError(
        f"An ensemble is made of checkpoints, but {exported[0]} is a model that"
        " was exported. Give the checkpoint that it was made of."
    )
  if exported:
    return _load_exported(exported[0], config_overrides, precision)
  configs = [saved_config.load(path, config_overrides)[0] for path in found]
  # Before a model is made, which takes a while.
  for config in configs:
    vocab.check_fits(config.vocab_size)
  if len(found) > 1:
    return ensemble.load(configs, found, precision)
  return inference_model.InferenceModel(configs[0], found[0], precision)


def _is_exported(path: str) -> bool:
  return path.endswith(frozen_graph.SUFFIX) or saved_model.is_saved_model(path)


def _load_exported(
    path: str, config_overrides: str, precision: str
) -> CaptionModel:
  if config_overrides or precision != "float32":
    raise ValueError(
        "An exported model can't be configured any more: leave"
        " --config_overrides and --precision out. Got:"
        f" {config_overrides!r} and {precision!r}."
    )
  if saved_model.is_saved_model(path):
    return saved_model.SavedModel(path)
  return frozen_graph.FrozenGraph.load(path)
