"""Inception v3 from TF-Slim as a `tf.Module` on current TensorFlow.

This is the only module that imports tf_slim. TF-Slim defines the network and
the names of its variables, so that the 2016 ImageNet checkpoint and all im2txt
checkpoints can be loaded. This module adds what TF-Slim needs on a current
TensorFlow: variables that persist between traces, and batch normalization.

The features are the average-pooled activations of layer `Mixed_7c` of the
network of Szegedy et al. (arXiv 1512.00567): 2048 per image.

`ImageEncoder` has the variables of the network and can be trained. For
inference, `folded_encoder.FoldedEncoder` is built from their values.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import functools
from typing import Any
import warnings

import tensorflow as tf
import tf_slim
from tf_slim.nets import inception_v3

from im2txt.ops import seeds

SCOPE = "InceptionV3"
_FINAL_ENDPOINT = "Mixed_7c"
# Both as in the training of the ImageNet checkpoint. The decay is a parameter.
BATCH_NORM_EPSILON = 0.001
_WEIGHTS_STDDEV = 0.1
# In smaller images, the activations of the last layers would have no pixels.
_SMALLEST_IMAGE = 75


class ImageEncoder(tf.Module):
  """An encoder of images as features by Inception v3.

  Attributes:
    variables_by_name: The 376 variables of the network by their checkpoint
      names, `InceptionV3/.../weights` and
      `InceptionV3/.../BatchNorm/{beta,moving_mean,moving_variance}`.
    feature_size: Number of features per image; 2048 at full width.
  """

  def __init__(
      self,
      *,
      height: int = 299,
      width: int = 299,
      depth_multiplier: float = 1.0,
      batch_norm_decay: float = 0.9997,
      freeze_batch_norm: bool = False,
      dropout_keep_prob: float = 0.8,
      trainable: bool = False,
      seed: int = 0,
      compute_dtype: tf.DType = tf.float32,
  ):
    """Builds the network and its variables.

    Args:
      height: Height of the images in pixels.
      width: Width of the images in pixels.
      depth_multiplier: Factor for the number of channels of every layer.
      batch_norm_decay: Decay of the moving averages of mean and variance.
      freeze_batch_norm: Whether training mode also normalizes with the moving
        averages, and does not update them.
      dropout_keep_prob: Probability of keeping a pooled feature in training.
      trainable: Whether the weights and offsets can be trained.
      seed: Seed for the initial weights.
      compute_dtype: Data type of convolutions and activations; the variables
        and the statistics of a batch are float32.

    Raises:
      ValueError: If the images are too small for the network.
    """
    super().__init__(name="image_encoder")
    check_size(height, width)
    self.variables_by_name: dict[str, tf.Variable] = {}
    self._image_shape = (height, width, 3)
    self._depth_multiplier = depth_multiplier
    self._batch_norm_decay = batch_norm_decay
    self._freeze_batch_norm = freeze_batch_norm
    self._dropout_keep_prob = dropout_keep_prob
    self._trainable = trainable
    self._seed = seed
    self._compute_dtype = compute_dtype
    # Tracing creates the variables; inference uses the same trace. TensorFlow
    # would trace a tf.function that creates variables twice, which takes
    # seconds.
    self._inference = tf.compat.v1.wrap_function(
        lambda images: self.features_and_end_points(images)[0],
        [tf.TensorSpec([None, *self._image_shape])],
    )
    self.feature_size: int = self._inference.output_shapes[-1]

  def __call__(self, images: tf.Tensor) -> tf.Tensor:
    """Returns features for inference, with moving averages, without dropout.

    Args:
      images: A float32 Tensor of shape [batch_size, height, width, 3] in
        [-1, 1].

    Returns:
      A float32 Tensor of shape [batch_size, feature_size].
    """
    return self._inference(images)

  def features_and_end_points(
      self, images: tf.Tensor, *, dropout_seed: tf.Tensor | None = None
  ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
    """Returns the features of images and the activations of layers.

    Must be called inside a `tf.function(autograph=False)`.

    Args:
      images: A float32 Tensor of shape [batch_size, height, width, 3] in
        [-1, 1].
      dropout_seed: An integer Tensor of shape [2]. If given, the network is in
        training mode: it applies dropout to the features and, unless batch
        normalization is frozen, normalizes with the mean and variance of the
        batch and updates the moving averages.

    Returns:
      A float32 Tensor of shape [batch_size, feature_size], and the activations
      of 18 layers by their names in TF-Slim.
    """
    batch_statistics: list[tuple[tf.Variable, tf.Tensor]] | None = None
    if dropout_seed is not None and not self._freeze_batch_norm:
      batch_statistics = []
    net, end_points = apply_network(
        tf.cast(images, self._compute_dtype),
        self._depth_multiplier,
        self._get_variable,
        normalizer_fn=functools.partial(
            batch_norm, batch_statistics=batch_statistics
        ),
    )
    features = tf.reduce_mean(tf.cast(net, tf.float32), axis=[1, 2])
    if batch_statistics:
      update_moving_averages(batch_statistics, decay=self._batch_norm_decay)
    if dropout_seed is not None:
      features = tf.nn.experimental.stateless_dropout(
          features, 1 - self._dropout_keep_prob, seed=dropout_seed
      )
    return features, end_points

  def regularized_weights(self) -> list[tf.Variable]:
    """Returns the convolution kernels, to which weight decay applies."""
    return [
        variable
        for name, variable in self.variables_by_name.items()
        if name.endswith("/weights")
    ]

  def _get_variable(self, getter, name, shape=None, dtype=None, **kwargs):
    """Creates a variable in the first trace and returns it in every trace."""
    del getter, dtype
    if name not in self.variables_by_name:
      is_moving_average = name.rpartition("/")[2].startswith("moving_")
      with tf.init_scope():
        self.variables_by_name[name] = tf.Variable(
            self._initial_value(name, shape),
            trainable=self._trainable and not is_moving_average,
            name=name,
            synchronization=kwargs["synchronization"],
            aggregation=kwargs["aggregation"],
        )
    variable = self.variables_by_name[name]
    if name.endswith("/weights"):
      return tf.cast(variable, self._compute_dtype)
    return variable

  def _initial_value(self, name, shape) -> tf.Tensor:
    """Returns the initial value of the variable with a checkpoint name."""
    match name.rpartition("/")[2]:
      case "weights":
        return tf.random.stateless_truncated_normal(
            shape,
            seed=seeds.named_seed(self._seed, name),
            stddev=_WEIGHTS_STDDEV,
        )
      case "moving_variance":
        return tf.ones(shape)
      case _:
        return tf.zeros(shape)


def check_size(height: int, width: int) -> None:
  """Checks that images are large enough for the network.

  Args:
    height: Height of the images in pixels.
    width: Width of the images in pixels.

  Raises:
    ValueError: If they are too small.
  """
  if min(height, width) < _SMALLEST_IMAGE:
    raise ValueError(
        f"Inception v3 takes images of at least {_SMALLEST_IMAGE} x"
        f" {_SMALLEST_IMAGE} pixels. Got: {height} x {width}."
    )


def apply_network(
    images: tf.Tensor,
    depth_multiplier: float,
    get_variable: Callable[..., Any],
    **conv2d: Any,
) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
  """Applies TF-Slim's Inception v3 to images.

  Args:
    images: A Tensor of shape [batch_size, height, width, 3] in [-1, 1].
    depth_multiplier: Factor for the number of channels of every layer.
    get_variable: The `custom_getter` of the variable scope, which returns a
      variable or Tensor to TF-Slim.
    **conv2d: Arguments of every `tf_slim.conv2d`. The default activation is
      ReLU.

  Returns:
    The activations of the last layer, and those of 18 layers by their names in
    TF-Slim.
  """
  with (
      warnings.catch_warnings(),
      tf.compat.v1.variable_scope(
          "", reuse=tf.compat.v1.AUTO_REUSE, custom_getter=get_variable
      ),
      tf_slim.arg_scope(
          [tf_slim.conv2d], **{"activation_fn": tf.nn.relu, **conv2d}
      ),
  ):
    # TF-Slim's layers call functions of TensorFlow that warn of their removal.
    warnings.simplefilter("ignore", UserWarning)
    return inception_v3.inception_v3_base(
        images,
        final_endpoint=_FINAL_ENDPOINT,
        depth_multiplier=depth_multiplier,
        scope=SCOPE,
    )


def batch_norm(
    inputs: tf.Tensor,
    *,
    batch_statistics: list[tuple[tf.Variable, tf.Tensor]] | None = None,
) -> tf.Tensor:
  """Applies batch normalization without scale, with TF-Slim's variable names.

  Replaces `tf_slim.batch_norm`, which no longer works. Must be called in the
  variable scope of a TF-Slim layer.

  Args:
    inputs: A float Tensor of shape [batch_size, height, width, channels].
    batch_statistics: In training mode, a list, to which the pairs (moving
      average, statistic of the batch) of mean and variance are appended; the
      batch is normalized with its own statistics. If None, it is normalized
      with the moving averages.

  Returns:
    A Tensor of the dtype and shape of `inputs`.
  """
  shape = inputs.shape[-1:]
  with tf.compat.v1.variable_scope("BatchNorm"):
    beta = tf.compat.v1.get_variable("beta", shape, tf.float32)
    mean, variance = (
        tf.compat.v1.get_variable(
            name,
            shape,
            tf.float32,
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.MEAN,
        )
        for name in ("moving_mean", "moving_variance")
    )
  is_training = batch_statistics is not None
  outputs, batch_mean, batch_variance = tf.compat.v1.nn.fused_batch_norm(
      inputs,
      scale=tf.ones(shape),
      offset=beta,
      mean=None if is_training else mean,
      variance=None if is_training else variance,
      epsilon=BATCH_NORM_EPSILON,
      is_training=is_training,
  )
  if batch_statistics is not None:
    batch_statistics += [(mean, batch_mean), (variance, batch_variance)]
  return outputs


def update_moving_averages(
    batch_statistics: Sequence[tuple[tf.Variable, tf.Tensor]], *, decay: float
) -> None:
  """Updates moving averages with the statistics of a batch.

  All layers are updated by common operations, because a GPU takes as long to
  start an operation for one layer as for all.

  Args:
    batch_statistics: Pairs (moving average, statistic of the batch), float32
      and of shape [channels].
    decay: Decay of the moving averages.
  """
  averages, statistics = zip(*batch_statistics, strict=True)
  differences = tf.concat(
      [average.read_value() for average in averages], axis=0
  ) - tf.concat(statistics, axis=0)
  changes = tf.split(
      differences * (1 - decay), [average.shape[0] for average in averages]
  )
  for average, change in zip(averages, changes, strict=True):
    average.assign_sub(change)
