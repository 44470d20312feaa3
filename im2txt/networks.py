"""The networks and the image preprocessing that a configuration describes.

Training, inference and export choose their encoder, decoder and preprocessing
here and nowhere else, so that they agree on them.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import functools
import hashlib
import json
from typing import Any

import tensorflow as tf

from im2txt import configuration
from im2txt.ops import caption_decoder
from im2txt.ops import folded_encoder
from im2txt.ops import image_embedding
from im2txt.ops import image_processing
from im2txt.ops import inputs

# The features of an image depend on these and on the encoder's weights.
_PREPROCESSING_FIELDS = (
    "image_format",
    "image_height",
    "image_width",
    "resize_height",
    "resize_width",
)


def make_encoder(
    config: configuration.ModelConfig,
    *,
    trainable: bool = False,
    seed: int = 0,
    compute_dtype: tf.DType = tf.float32,
) -> image_embedding.ImageEncoder:
  """Builds an encoder with initial weights, for training and evaluation.

  Args:
    config: The model's configuration.
    trainable: Whether the weights can be trained.
    seed: Seed for the initial weights.
    compute_dtype: Data type of convolutions and activations.

  Returns:
    The encoder.
  """
  return image_embedding.ImageEncoder(
      height=config.image_height,
      width=config.image_width,
      depth_multiplier=config.inception_depth_multiplier,
      batch_norm_decay=config.batch_norm_decay,
      freeze_batch_norm=config.freeze_batch_norm,
      dropout_keep_prob=config.inception_dropout_keep_prob,
      trainable=trainable,
      seed=seed,
      compute_dtype=compute_dtype,
  )


def make_inference_encoder(
    config: configuration.ModelConfig,
    value: Callable[[str, Sequence[int]], tf.Tensor],
    *,
    precision: str = "float32",
    as_variables: bool = False,
) -> folded_encoder.FoldedEncoder:
  """Builds an encoder for inference only, with a checkpoint's values.

  Args:
    config: The model's configuration.
    value: Function (name, shape) -> checkpoint value, a float32 Tensor.
    precision: Data type of most layers: "float32" or "bfloat16".
    as_variables: Whether to keep the values in variables, for export.

  Returns:
    The encoder.
  """
  return folded_encoder.FoldedEncoder(
      value,
      height=config.image_height,
      width=config.image_width,
      depth_multiplier=config.inception_depth_multiplier,
      dtype=tf.as_dtype(precision),
      as_variables=as_variables,
  )


def make_decoder(
    config: configuration.ModelConfig,
    feature_size: int,
    *,
    seed: int = 0,
    value: Callable[[str, Sequence[int]], Any] | None = None,
    compute_dtype: tf.DType = tf.float32,
) -> caption_decoder.CaptionDecoder:
  """Builds the decoder, for training and inference.

  Args:
    config: The model's configuration.
    feature_size: Number of features per image that the encoder returns.
    seed: Seed for the initial values.
    value: Optional function (name, shape) -> checkpoint value, a float32 Tensor
      or array, used instead of random initialization.
    compute_dtype: Data type of the matrix products.

  Returns:
    The decoder.
  """
  return caption_decoder.CaptionDecoder(
      feature_size=feature_size,
      vocab_size=config.vocab_size,
      embedding_size=config.embedding_size,
      num_units=config.num_lstm_units,
      initializer_scale=config.initializer_scale,
      dropout_keep_prob=config.lstm_dropout_keep_prob,
      seed=seed,
      value=value,
      compute_dtype=compute_dtype,
  )


def state_size(config: configuration.ModelConfig) -> int:
  """Returns the number of values in the decoder's state, per caption."""
  return 2 * config.num_lstm_units


def preprocess_fn(config: configuration.ModelConfig) -> inputs.PreprocessFn:
  """Returns `image_processing.process_image` for the model's input images."""
  return functools.partial(
      image_processing.process_image,
      image_format=config.image_format,
      **image_sizes(config),
  )


def image_sizes(config: configuration.ModelConfig) -> dict[str, Any]:
  """Returns the keyword arguments of `image_processing.central_view`."""
  return {
      "height": config.image_height,
      "width": config.image_width,
      "resize_height": config.resize_height,
      "resize_width": config.resize_width,
  }


def preprocessing_fields(config: configuration.ModelConfig) -> dict[str, Any]:
  """Returns the fields of the configuration that define the preprocessing."""
  values = dataclasses.asdict(config)
  return {name: values[name] for name in _PREPROCESSING_FIELDS}


def fingerprint(
    encoder: image_embedding.ImageEncoder, config: configuration.ModelConfig
) -> str:
  """Returns a hash of all that determines the features of an image.

  Args:
    encoder: The encoder, with its current weights.
    config: The configuration of the image preprocessing.

  Returns:
    A hexadecimal SHA-256 digest of the weights and the preprocessing.
  """
  digest = hashlib.sha256()
  digest.update(
      json.dumps(preprocessing_fields(config), sort_keys=True).encode()
  )
  strategy = tf.distribute.get_strategy()
  for name, variable in sorted(encoder.variables_by_name.items()):
    digest.update(name.encode())
    # One replica's value: the mean over replicas may differ in the last bit.
    value = strategy.experimental_local_results(variable)[0]
    digest.update(value.numpy().tobytes())
  return digest.hexdigest()
