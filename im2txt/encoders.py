"""The image encoder of a configuration, and what tells two of them apart.

The one place where an encoder is chosen: one to train, one for inference alone.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import hashlib
import json
from typing import Any

import tensorflow as tf

from im2txt import configuration
from im2txt.ops import folded_encoder
from im2txt.ops import image_embedding

# What an encoder sees of an image depends on these, besides its weights.
_PREPROCESSING_FIELDS = (
    "image_format",
    "image_height",
    "image_width",
    "resize_height",
    "resize_width",
)


def make_encoder(
    config: configuration.ModelConfig, *, trainable: bool = False, seed: int = 0
) -> image_embedding.ImageEncoder:
  """Builds the encoder, with initial weights.

  Args:
    config: The model's configuration.
    trainable: Whether its weights can be trained.
    seed: Of the initial weights.

  Returns:
    The encoder.
  """
  return image_embedding.ImageEncoder(
      height=config.image_height,
      width=config.image_width,
      depth_multiplier=config.inception_depth_multiplier,
      batch_norm_decay=config.batch_norm_decay,
      dropout_keep_prob=config.inception_dropout_keep_prob,
      trainable=trainable,
      seed=seed,
  )


def make_inference_encoder(
    config: configuration.ModelConfig,
    value: Callable[[str, Sequence[int]], tf.Tensor],
    *,
    precision: str = "float32",
    as_variables: bool = False,
) -> folded_encoder.FoldedEncoder:
  """Builds the encoder for captions alone, of a checkpoint's values.

  Args:
    config: The model's configuration.
    value: Gives the value of the variable of a checkpoint name and a shape.
    precision: What most of it computes in: "float32" or "bfloat16".
    as_variables: Whether it keeps its values in variables, for export.

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


def preprocessing(config: configuration.ModelConfig) -> dict[str, Any]:
  """Returns the fields of the configuration that define the encoder."""
  values = dataclasses.asdict(config)
  return {name: values[name] for name in _PREPROCESSING_FIELDS}


def fingerprint(
    encoder: image_embedding.ImageEncoder, config: configuration.ModelConfig
) -> str:
  """Identifies the features that an encoder gives of any image.

  Args:
    encoder: The encoder, with the weights to use.
    config: The configuration with which images are prepared for it.

  Returns:
    A hexadecimal text that changes with any weight and with the preprocessing.
  """
  digest = hashlib.sha256()
  digest.update(json.dumps(preprocessing(config), sort_keys=True).encode())
  strategy = tf.distribute.get_strategy()
  for name, variable in sorted(encoder.variables_by_name.items()):
    digest.update(name.encode())
    # One component: the mean of several may differ in the last bit.
    value = strategy.experimental_local_results(variable)[0]
    digest.update(value.numpy().tobytes())
  return digest.hexdigest()
