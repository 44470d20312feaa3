"""A trained model for inference only.

It produces the same captions as a `ShowAndTellModel` with the same checkpoint,
but loads in half the time and with less memory: its encoder has no variables,
and the values of the checkpoint are read one by one.

With the precision "bfloat16", most of the encoder, which does nine tenths of
the work, computes in bfloat16; its first layers and the decoder use float32.
"""

from collections.abc import Sequence
import os

from absl import logging
import tensorflow as tf

from im2txt import configuration
from im2txt import networks
from im2txt.checkpointing import checkpoints
from im2txt.ops import folded_encoder
from im2txt.runtime import precision as precisions

_IMAGE_MAP = "image_embedding/weights"


class InferenceModel:
  """A `CaptionModel`: encoder and decoder with a checkpoint's values.

  Attributes:
    config: The model's configuration.
    encoder: The `FoldedEncoder`.
    decoder: The `CaptionDecoder`.
  """

  def __init__(
      self,
      config: configuration.ModelConfig,
      checkpoint: str,
      precision: str = "float32",
      *,
      as_variables: bool = False,
      encoder: folded_encoder.FoldedEncoder | None = None,
  ):
    """Builds the model from a checkpoint and logs it.

    Args:
      config: The model's configuration.
      checkpoint: The checkpoint's path, without suffix.
      precision: Data type of the encoder: "float32" or "bfloat16".
      as_variables: Whether the encoder has variables too, for export.
      encoder: The encoder of another model with the same values, to share.

    Raises:
      FileNotFoundError: If the checkpoint does not exist.
      ValueError: If it is damaged or does not match the configuration, or
        `precision` is unknown.
    """
    precisions.check(precision)
    logging.info("Loading model from checkpoint: %s", checkpoint)
    self.config = config
    self._preprocess = networks.preprocess_fn(config)
    reader = checkpoints.Reader(checkpoint)

    def value(name: str, shape: Sequence[int]) -> tf.Tensor:
      return tf.constant(
          checkpoints.read_value(reader, name, shape, averaged=config.use_ema)
      )

    # Built first, so a checkpoint without a decoder is reported clearly.
    feature_size = (reader.shapes.get(_IMAGE_MAP) or [0])[0]
    self.decoder = networks.make_decoder(config, feature_size, value=value)
    self.encoder = encoder or networks.make_inference_encoder(
        config, value, precision=precision, as_variables=as_variables
    )
    logging.info(
        "Successfully loaded checkpoint: %s", os.path.basename(checkpoint)
    )

  @property
  def vocab_size(self) -> int:
    """Number of words in the vocabulary of the model."""
    return self.config.vocab_size

  @property
  def variables(self) -> list[tf.Variable]:
    """The variables of the decoder and, if it has any, the encoder."""
    return [*self.decoder.variables_by_name.values(), *self.encoder.variables]

  def preprocess_image(self, encoded_image: tf.Tensor) -> tf.Tensor:
    """See `ShowAndTellModel.preprocess_image`."""
    # Else a GPU would resize each image and hand it back to be batched.
    with tf.device("CPU"):
      return self._preprocess(encoded_image, is_training=False)

  def initial_states(self, images: tf.Tensor) -> tf.Tensor:
    """See `ShowAndTellModel.initial_states`; takes images only."""
    return self.decoder.initial_state(self.encoder(images))

  def decode_step(
      self, input_ids: tf.Tensor, state: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """See `CaptionDecoder.decode_step`."""
    return self.decoder.decode_step(input_ids, state)
