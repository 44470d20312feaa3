"""A tiny untrained model with different captions for synthetic images."""

import dataclasses

import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import networks
from im2txt import show_and_tell_model
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import saved_config
from im2txt.testing import tiny

# With larger initial values than usual, so that word probabilities differ.
CONFIG = dataclasses.replace(tiny.CONFIG, initializer_scale=0.5)

# An untrained encoder has almost the same features for all images.
_DIFFERENCE_SCALE = 1e7


def make_model(seed: int = 0) -> show_and_tell_model.ShowAndTellModel:
  """Returns an untrained inference model, whose captions depend on the image.

  Args:
    seed: Seed of the initial values. With 0, some of the captions are finished.

  Returns:
    The model. Its image embedding amplifies the differences between the
    features of an image and those of a fixed image.
  """
  model = show_and_tell_model.ShowAndTellModel(CONFIG, "inference", seed=seed)
  process = networks.preprocess_fn(CONFIG)
  image = process(jpeg(100), is_training=False)[tf.newaxis]
  common = tf.math.l2_normalize(model.image_features(image), axis=1)
  image_embedding = model.decoder.image_embedding
  in_common = tf.matmul(common, common @ image_embedding, transpose_a=True)
  image_embedding.assign((image_embedding - in_common) * _DIFFERENCE_SCALE)
  return model


def save(model: show_and_tell_model.ShowAndTellModel, folder: str) -> str:
  """Saves a model and its configuration; returns the checkpoint's path."""
  variables = model.checkpoint_variables()
  saved_config.save(folder, CONFIG, configuration.TrainingConfig())
  return checkpoints.Saver(variables, folder, max_to_keep=1).save(1)


def jpeg(seed: int) -> bytes:
  """Returns a JPEG file of 12 squares in random colours."""
  pixels = np.random.default_rng(seed).integers(0, 256, [3, 4, 3], np.uint8)
  pixels = pixels.repeat(30, axis=0).repeat(25, axis=1)
  return tf.io.encode_jpeg(pixels).numpy()
