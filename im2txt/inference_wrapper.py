"""The Show and Tell model for use with `CaptionGenerator`, step by step.

    model = inference_wrapper.InferenceWrapper()
    restore_fn = model.build_graph_from_config(
        configuration.ModelConfig(), checkpoint_path
    )
    restore_fn(None)
    generator = caption_generator.CaptionGenerator(model, vocab)
    captions = generator.beam_search(None, encoded_image)

`captioning.Captioner` produces the same captions several times faster.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import show_and_tell_model
from im2txt.inference import frozen_graph
from im2txt.inference import model_loader
from im2txt.inference_utils import inference_wrapper_base


class InferenceWrapper(inference_wrapper_base.InferenceWrapperBase):
  """Feeds images and words to a model.

  Attributes:
    model: The `ShowAndTellModel` or the `FrozenGraph`, once it is built.
  """

  model: model_loader.CaptionModel

  def build_model(
      self, model_config: configuration.ModelConfig
  ) -> show_and_tell_model.ShowAndTellModel:
    """See the base class."""
    model = show_and_tell_model.ShowAndTellModel(model_config, "inference")
    self._use(model)
    return model

  def use_graph(self, graph: frozen_graph.FrozenGraph) -> None:
    """See the base class."""
    self._use(graph)

  def feed_image(self, sess: Any, encoded_image: bytes) -> np.ndarray:
    """See the base class; a state is the LSTM's c, then h."""
    del sess
    return self._feed_image(encoded_image).numpy()

  def inference_step(
      self, sess: Any, input_feed: np.ndarray, state_feed: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, None]:
    """See the base class."""
    del sess
    softmax, states = self._inference_step(
        tf.constant(input_feed, tf.int64), tf.constant(state_feed, tf.float32)
    )
    return softmax.numpy(), states.numpy(), None

  def _use(self, model: model_loader.CaptionModel) -> None:
    def feed_image(encoded_image: tf.Tensor) -> tf.Tensor:
      return model.initial_states(
          model.preprocess_image(encoded_image)[tf.newaxis]
      )

    self.model = model
    self._feed_image = tf.function(
        feed_image,
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )
    self._inference_step = tf.function(
        model.decode_step,
        input_signature=[
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None, None]),
        ],
        autograph=False,
    )
