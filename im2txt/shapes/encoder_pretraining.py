"""Trains an image encoder on labelled images, by multi-label classification.

                              +-> sigmoid of label 1
    images -> Inception v3 ---+-> sigmoid of label 2
                              +-> ...

Used where the ImageNet checkpoint does not fit the images. An encoder with
random weights does not learn from the captioning loss: the decoder learns to
ignore it long before its gradients carry information about images.
"""

from collections.abc import Sequence
import json
import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import networks
from im2txt.ops import optimizers

_BATCHES_AHEAD = 2
_KERNEL_STDDEV = 0.02


class LabeledImages(NamedTuple):
  """Image files with their labels.

  Attributes:
    files: The image files.
    labels: A float32 array of shape [num_images, num_labels]; 1 where an image
      has a label.
    weights: A float32 array of shape [num_labels]; the labels' weights in the
      loss.
  """

  files: Sequence[str]
  labels: np.ndarray
  weights: np.ndarray


class PretrainingMetrics(NamedTuple):
  """The metrics of one training step; float32 scalars.

  Attributes:
    loss: The weighted sum of the labels' cross-entropies in nats, averaged over
      the batch.
    share_right: The share of the images whose labels are all predicted right.
  """

  loss: tf.Tensor
  share_right: tf.Tensor


def load_labels(labels_file: str) -> LabeledImages:
  """Reads the labels of images.

  Args:
    labels_file: JSON file with "weights", the weights by label, and "images", a
      list of objects with a "file_name", relative to the folder of the JSON
      file, and "labels".

  Returns:
    The images.

  Raises:
    ValueError: If the file has another format, or no images.
  """
  with tf.io.gfile.GFile(labels_file) as file:
    try:
      content = json.load(file)
      columns = {name: i for i, name in enumerate(content["weights"])}
      labels = np.zeros([len(content["images"]), len(columns)], np.float32)
      for row, image in zip(labels, content["images"], strict=True):
        row[[columns[label] for label in image["labels"]]] = 1
      names = [image["file_name"] for image in content["images"]]
      weights = np.array(list(content["weights"].values()), np.float32)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
      raise ValueError(
          f"{labels_file} is not a JSON file of labels: {error!r}."
      ) from error
  if not names:
    raise ValueError(f"{labels_file} has no images.")
  folder = os.path.dirname(labels_file)
  return LabeledImages(
      files=[os.path.join(folder, name) for name in names],
      labels=labels,
      weights=weights,
  )


def training_batches(
    images: LabeledImages, config: configuration.ModelConfig, *, seed: int
) -> tf.data.Dataset:
  """Returns an infinite Dataset of shuffled batches of distorted images.

  Args:
    images: The images.
    config: The model's configuration.
    seed: Seed of the order and the distortions.

  Returns:
    A Dataset of (float32 images of shape [batch_size, height, width, 3],
    float32 labels of shape [batch_size, num_labels]).
  """
  process = networks.preprocess_fn(config)

  @tf.autograph.experimental.do_not_convert
  def read(index: tf.Tensor, image: tuple[tf.Tensor, tf.Tensor]):
    file, labels = image
    distorted = process(
        tf.io.read_file(file),
        is_training=True,
        thread_id=index % config.num_preprocess_threads,
        seed=tf.stack([tf.constant(seed, tf.int64), index]),
    )
    return distorted, labels

  return (
      tf.data.Dataset.from_tensor_slices((list(images.files), images.labels))
      .shuffle(len(images.files), seed=seed)
      .repeat()
      .enumerate()
      .map(
          read,
          num_parallel_calls=tf.data.AUTOTUNE,
          deterministic=True,
      )
      .batch(config.batch_size, drop_remainder=True)
      .prefetch(_BATCHES_AHEAD)
  )


class LabelTrainer(tf.Module):
  """An encoder with one sigmoid per label, and the step that trains them.

  Attributes:
    encoder: The `image_embedding.ImageEncoder`.
  """

  def __init__(
      self,
      model_config: configuration.ModelConfig,
      training_config: configuration.TrainingConfig,
      *,
      label_weights: np.ndarray,
      num_steps: int,
  ):
    """Creates and initializes all variables.

    Args:
      model_config: The model's configuration.
      training_config: The training configuration.
      label_weights: A float32 array of shape [num_labels]; the labels' weights
        in the loss.
      num_steps: Total number of steps. The learning rate is constant in the
        first half, and decays linearly to 0 in the second.
    """
    super().__init__()
    seed = training_config.seed
    self.encoder = networks.make_encoder(
        model_config, trainable=True, seed=seed
    )
    shape = (self.encoder.feature_size, label_weights.size)
    kernel = tf.random.stateless_normal(
        shape, seed=(seed, 0), stddev=_KERNEL_STDDEV
    )
    self._kernel = tf.Variable(kernel, name="kernel")
    self._biases = tf.Variable(tf.zeros(shape[1:]), name="biases")
    self._label_weights = tf.constant(label_weights)
    self._variables = {
        variable.name: variable for variable in self.trainable_variables
    }
    self._optimizer = optimizers.make_optimizer(
        training_config.optimizer,
        self._variables,
        momentum=training_config.momentum,
    )
    self._learning_rate = training_config.initial_learning_rate
    self._seed = seed
    self._num_steps = num_steps
    self._step = tf.Variable(0, trainable=False, name="step")
    self.step = tf.function(self._train_step, autograph=False)

  def _train_step(
      self, images: tf.Tensor, labels: tf.Tensor
  ) -> PretrainingMetrics:
    step = self._step.read_value()
    with tf.GradientTape() as tape:
      features, _ = self.encoder.features_and_end_points(
          images, dropout_seed=tf.stack([self._seed, step])
      )
      logits = features @ self._kernel + self._biases
      losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
      loss = tf.reduce_mean(tf.reduce_sum(losses * self._label_weights, axis=1))
    gradients = tape.gradient(loss, list(self._variables.values()))
    done = tf.cast(step, tf.float32) / self._num_steps
    learning_rate = self._learning_rate * tf.minimum(1.0, 2 * (1 - done))
    self._optimizer.apply(gradients, learning_rate)
    self._step.assign_add(1)
    is_right = tf.reduce_all((logits > 0) == (labels > 0), axis=1)
    return PretrainingMetrics(
        loss, tf.reduce_mean(tf.cast(is_right, tf.float32))
    )
