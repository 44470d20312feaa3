"""The original's interface of a model for `CaptionGenerator`.

As in the original, a wrapper is prepared in two steps:

    restore_fn = wrapper.build_graph_from_config(model_config, checkpoint_path)
    restore_fn(sess)

For a graph in a file, the first step is `build_graph_from_proto`. TensorFlow 2
has no sessions, so the argument `sess` is ignored.
"""

import abc
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import os
from typing import Any
from typing import Protocol

from absl import logging
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.inference import frozen_graph
from im2txt.runtime import home_folder


class RestorableModel(Protocol):
  """A model whose variables are restored from a checkpoint."""

  def checkpoint_variables(self) -> Mapping[str, tf.Variable]:
    """Returns the variables by their names in a checkpoint."""


class InferenceWrapperBase(abc.ABC):
  """A model that encodes an image, then extends captions word by word."""

  @abc.abstractmethod
  def build_model(
      self, model_config: configuration.ModelConfig
  ) -> RestorableModel:
    """Builds the model with initial values."""

  def use_graph(self, graph: frozen_graph.FrozenGraph) -> None:
    """Uses a frozen graph as the model, instead of `build_model`."""
    raise NotImplementedError(f"{type(self).__name__} takes no graphs.")

  @abc.abstractmethod
  def feed_image(self, sess: Any, encoded_image: bytes) -> np.ndarray:
    """Computes the decoder state after an image.

    Args:
      sess: Not used.
      encoded_image: The content of an image file.

    Returns:
      An array of shape [1, state_size].
    """

  @abc.abstractmethod
  def inference_step(
      self, sess: Any, input_feed: np.ndarray, state_feed: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, Sequence[Any] | None]:
    """Extends n captions by a word.

    Args:
      sess: Not used.
      input_feed: An int64 array of shape [n], the last word of each caption.
      state_feed: An array of shape [n, state_size], the state of each caption.

    Returns:
      The probabilities of the next word, of shape [n, vocab_size]; the new
      states, of shape [n, state_size]; and metadata for each caption, or None.
    """

  def build_graph_from_config(
      self, model_config: configuration.ModelConfig, checkpoint_path: str
  ) -> Callable[[Any], None]:
    """Builds the model of a configuration.

    Args:
      model_config: The model's configuration.
      checkpoint_path: The path of a checkpoint, or of a folder for its newest
        checkpoint.

    Returns:
      A function of `sess` that restores the model from the checkpoint.

    Raises:
      FileNotFoundError: If the checkpoint does not exist.
    """
    path = checkpoint_paths.find(home_folder.expand(checkpoint_path))
    logging.info("Building model.")
    model = self.build_model(model_config)
    averaged = model_config.use_ema
    return lambda sess: restore(model, path, averaged=averaged)

  def build_graph_from_proto(
      self,
      graph_def_file: str,
      saver_def_file: str | None = None,
      checkpoint_path: str = "",
  ) -> Callable[[Any], None]:
    """Loads the model from a graph in a file.

    Args:
      graph_def_file: The path of a binary GraphDef, the original's inference
        graph with the tensors that `frozen_graph` lists.
      saver_def_file: Not used.
      checkpoint_path: The path of a checkpoint, or of a folder for its newest
        checkpoint. Not needed for a frozen graph.

    Returns:
      A function of `sess` that reads the graph and restores the checkpoint. It
      raises a FileNotFoundError if a file does not exist, and a ValueError if
      it is not a model.

    Raises:
      FileNotFoundError: If the checkpoint does not exist.
    """
    del saver_def_file
    graph_def_file = home_folder.expand(graph_def_file)
    checkpoint_path = home_folder.expand(checkpoint_path)
    path = checkpoint_paths.find(checkpoint_path) if checkpoint_path else None
    return lambda sess: self.use_graph(
        frozen_graph.FrozenGraph.load(graph_def_file, path)
    )


def restore(
    model: RestorableModel, checkpoint: str, *, averaged: bool = False
) -> None:
  """Restores a model and logs it; see `checkpoints.restore`.

  Args:
    model: The model to restore.
    checkpoint: The path of the checkpoint, without suffix.
    averaged: Whether to restore moving averages where the checkpoint has them.
  """
  logging.info("Loading model from checkpoint: %s", checkpoint)
  checkpoints.restore(
      model.checkpoint_variables(),
      checkpoint,
      optional=("global_step",),
      averaged=averaged,
  )
  logging.info(
      "Successfully loaded checkpoint: %s", os.path.basename(checkpoint)
  )
