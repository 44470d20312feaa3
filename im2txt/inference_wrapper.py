"""The Show and Tell model for use with `CaptionGenerator`, step by step.

    model = inference_wrapper.InferenceWrapper()
    restore_fn = model.build_graph_from_config(
        configuration.ModelConfig(), checkpoint_path
    )
    restore_fn(None)
    generator = caption_generator.CaptionGenerator(model, vocab)
    captions = generator.beam_search(None, encoded_image)

`captioning.Captioner` finds the same captions several times faster.
"""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from im2txt import caption_data
from im2txt import configuration
from im2txt import show_and_tell_model
from im2txt.inference_utils import inference_wrapper_base


class InferenceWrapper(inference_wrapper_base.InferenceWrapperBase):
  """Feeds images and words to a `ShowAndTellModel`.

  Attributes:
    model: The `ShowAndTellModel`, once it is built.
  """

  model: show_and_tell_model.ShowAndTellModel

  def build_model(
      self, model_config: configuration.ModelConfig
  ) -> show_and_tell_model.ShowAndTellModel:
    """See the base class."""
    self.model = show_and_tell_model.ShowAndTellModel(model_config, "inference")
    process_image = functools.partial(
        caption_data.process_image(model_config), is_training=False
    )

    def feed_image(encoded_image: tf.Tensor) -> tf.Tensor:
      images = process_image(encoded_image)[tf.newaxis]
      return self.model.initial_state(self.model.image_features(images))

    self._feed_image = tf.function(
        feed_image,
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )
    self._inference_step = tf.function(
        self.model.decode_step,
        input_signature=[
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None, 2 * model_config.num_lstm_units]),
        ],
        autograph=False,
    )
    return self.model

  def feed_image(self, sess: Any, encoded_image: bytes) -> np.ndarray:
    """See the base class; the state is c, then h, of the LSTM."""
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
