"""One training step under any `tf.distribute` strategy: options, step, metrics.

batch -> losses -> gradients -> sum over replicas -> clip -> update
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import os
import types
from typing import Any
from typing import NamedTuple
from typing import Protocol

import tensorflow as tf

from im2txt import configuration
from im2txt import show_and_tell_model
from im2txt.distributed import distribution
from im2txt.ops import caption_decoder
from im2txt.ops import optimizers
from im2txt.ops import scheduled_sampling
from im2txt.runtime import precision
from im2txt.training import xla

# Tag of the measure that steps report with scheduled sampling.
SAMPLING_PROBABILITY = "scheduled_sampling/probability"


class Objective(Protocol):
  """A training objective other than the likelihood of the captions.

  Attributes:
    name: Prefix of the optimizer's variables in checkpoints. Each objective has
      its own variables, since gradients differ in size.
    learning_rate: The learning rate, a constant.
  """

  name: str
  learning_rate: float

  def losses(
      self,
      model: show_and_tell_model.ShowAndTellModel,
      features: tf.Tensor,
      batch: Any,
      *,
      seed: tf.Tensor,
      jit_compile: bool,
  ) -> show_and_tell_model.Losses:
    """Returns the losses of a batch.

    Args:
      model: The model, in mode "train".
      features: Features of the batch's images; a float32 Tensor of shape
        [batch_size, feature_size].
      batch: The batch.
      seed: Seed of the step; an integer Tensor of shape [2].
      jit_compile: Whether XLA compiles what it can; see `xla.compiled`.

    Returns:
      The losses.
    """


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepOptions:
  """Options of the training step that are not part of the configuration.

  Attributes:
    train_inception: Whether to train the encoder as well as the decoder.
    objective: The training objective; the likelihood of the captions if None.
    compute_dtype: Data type of convolutions and matrix products; with float16
      the loss is scaled, see `precision.LossScale`.
    jit_compile: Whether XLA compiles the step; not with several replicas. See
      `xla`.
    must_compile: Whether it is an error if XLA can't compile the step;
      otherwise a warning is logged and the step runs without XLA.
  """

  train_inception: bool = False
  objective: Objective | None = None
  compute_dtype: tf.DType = tf.float32
  jit_compile: bool = False
  must_compile: bool = True


DEFAULT_OPTIONS = StepOptions()


class StepMetrics(NamedTuple):
  """The metrics of one training step; float32 scalars.

  Attributes:
    batch_loss: Mean cross-entropy per word of the batch, in nats, without label
      smoothing.
    total_loss: The loss that was minimized.
    learning_rate: Learning rate of this step.
    gradient_norm: Global norm of the gradients before clipping; 0 if the step
      was skipped because they overflowed in float16.
    clipped_gradient_norm: Global norm of the gradients after clipping.
    measures: Further metrics by TensorBoard tag, from the objective (see
      `show_and_tell_model.Losses`) and scheduled sampling.
  """

  batch_loss: tf.Tensor
  total_loss: tf.Tensor
  learning_rate: tf.Tensor
  gradient_norm: tf.Tensor
  clipped_gradient_norm: tf.Tensor
  measures: Mapping[str, tf.Tensor] = types.MappingProxyType({})

  def measures_text(self) -> str:
    """Returns the measures for a line of the log, as ", reward = 0.5123"."""
    return "".join(
        f", {os.path.basename(tag)} = {float(value):.4f}"
        for tag, value in self.measures.items()
    )


class Trainer(tf.Module):
  """The model, its optimizer and the step that trains it.

  Attributes:
    model: The `ShowAndTellModel` in mode "train".
    optimizer: The `optimizers.Optimizer`.
    averages: The `optimizers.WeightAverages`, which are empty unless the
      configuration sets `ema_decay`.
    strategy: The distribution strategy of the variables.
  """

  def __init__(
      self,
      model_config: configuration.ModelConfig,
      training_config: configuration.TrainingConfig,
      options: StepOptions = DEFAULT_OPTIONS,
      *,
      strategy: tf.distribute.Strategy | None = None,
  ):
    """Creates all variables, with initial values.

    Args:
      model_config: The model's configuration.
      training_config: The training configuration.
      options: Further options of the step.
      strategy: The distribution strategy; one device if None.

    Raises:
      ValueError: If XLA is to compile the step of several replicas.
    """
    super().__init__()
    self._config = training_config
    self._objective = options.objective
    self._jit_compile = options.jit_compile
    self._must_compile = options.must_compile
    self._batch_size = model_config.batch_size
    self.strategy = strategy or tf.distribute.get_strategy()
    if options.jit_compile and self.strategy.num_replicas_in_sync > 1:
      raise ValueError(
          "XLA compiles the step of one device only, not of"
          f" {self.strategy.num_replicas_in_sync} replicas."
      )
    with self.strategy.scope():
      self.model = show_and_tell_model.ShowAndTellModel(
          model_config,
          "train",
          options.train_inception,
          seed=training_config.seed,
          compute_dtype=options.compute_dtype,
      )
      self._trained = self.model.trainable_variables_by_name()
      self.optimizer = optimizers.make_optimizer(
          training_config.optimizer,
          self._trained,
          momentum=training_config.momentum,
          rate_factors=self._rate_factors(),
          weight_decays=self._weight_decays(),
      )
      self._loss_scale = None
      if options.compute_dtype == tf.float16:
        self._loss_scale = precision.LossScale()
      self.averages = optimizers.WeightAverages(
          self._trained, decay=training_config.ema_decay
      )

  @property
  def global_step(self) -> int:
    """The number of steps trained, including those of earlier runs."""
    return int(self.model.global_step.numpy())

  def checkpoint_variables(self) -> dict[str, tf.Variable]:
    """Returns the variables that a resumed run needs, by checkpoint name."""
    return {
        **self.model.checkpoint_variables(),
        **self.optional_variables(),
    }

  def optional_variables(self) -> dict[str, tf.Variable]:
    """Returns the variables that may be missing from a checkpoint.

    Checkpoints of another optimizer, objective or precision do not have them.
    """
    scale = self._loss_scale.variables_by_name if self._loss_scale else {}
    return {
        **self.slots,
        **self.averages.variables_by_name,
        **scale,
    }

  @property
  def slots(self) -> dict[str, tf.Variable]:
    """The optimizer's variables by checkpoint name."""
    prefix = f"{self._objective.name}/" if self._objective else ""
    return {f"{prefix}{n}": slot for n, slot in self.optimizer.slots.items()}

  def step_function(self, batch_spec: Any) -> Callable[[Any], StepMetrics]:
    """Builds the step, which trains on a batch and counts the global step.

    Args:
      batch_spec: The `element_spec` of the strategy's distributed iterator over
        batches: `inputs.Batch`, or the objective's type. It must not fix the
        length of captions, or each new length costs seconds for a new trace.

    Returns:
      A function of a batch that returns the step's `StepMetrics`.
    """

    def make_plain_step() -> Callable[[Any], StepMetrics]:
      self._jit_compile = False
      return self._traced_step(batch_spec)

    step = self._traced_step(batch_spec)
    if not self._jit_compile:
      return step
    return xla.CompiledStep(
        step, None if self._must_compile else make_plain_step
    )

  def _traced_step(self, batch_spec: Any) -> Callable[[Any], Any]:
    return tf.function(
        self._distributed_step, input_signature=[batch_spec], autograph=False
    )

  def learning_rate(self, step: tf.Tensor) -> tf.Tensor:
    """Returns the learning rate of a step.

    In phase 1 it decays in steps; in phase 2 it is constant (arXiv 1609.06647,
    section 4.3, and the released configuration).

    Args:
      step: The global step before the step; an int32 scalar.

    Returns:
      A float32 scalar.
    """
    config = self._config
    if self._objective:
      return tf.constant(self._objective.learning_rate)
    if self.model.train_inception:
      return tf.constant(config.train_inception_learning_rate)
    steps_per_epoch = config.num_examples_per_epoch / self._batch_size
    decay_steps = max(1, int(steps_per_epoch * config.num_epochs_per_decay))
    decays = tf.cast(step // decay_steps, tf.float32)
    return config.initial_learning_rate * tf.pow(
        tf.constant(config.learning_rate_decay_factor), decays
    )

  def sampling_probability(self, step: tf.Tensor) -> tf.Tensor | None:
    """Returns the probability that scheduled sampling replaces a word.

    Args:
      step: The global step before the step; an int32 scalar.

    Returns:
      A float32 scalar, or None without scheduled sampling, as always with an
      objective other than the likelihood.
    """
    config = self._config
    if config.scheduled_sampling == "off" or self._objective:
      return None
    return 1.0 - scheduled_sampling.teacher_probability(
        config.scheduled_sampling,
        step,
        offset=config.scheduled_sampling_offset,
        slope=config.scheduled_sampling_slope,
        base=config.scheduled_sampling_base,
        k=config.scheduled_sampling_k,
        minimum=config.scheduled_sampling_minimum,
    )

  def _rate_factors(self) -> dict[str, float]:
    factor = self._config.inception_learning_rate_factor
    if factor == 1:
      return {}
    return dict.fromkeys(self.model.encoder.variables_by_name, factor)

  def _weight_decays(self) -> dict[str, float]:
    decay = self._config.decoder_weight_decay
    if not decay:
      return {}
    return dict.fromkeys(caption_decoder.KERNEL_NAMES, decay)

  def _distributed_step(self, batch: Any) -> StepMetrics:
    metrics = self.strategy.run(self._replica_step, args=(batch,))
    # They are equal on all replicas.
    return tf.nest.map_structure(
        lambda metric: distribution.local(self.strategy, metric), metrics
    )

  def _replica_step(self, batch: Any) -> StepMetrics:
    if self._jit_compile:
      batch = xla.pad_captions(batch)
    step = self.model.global_step.read_value()
    scale = self._loss_scale.factor if self._loss_scale else None
    metrics, is_finite = self._compute(batch, step, scale)
    if self._loss_scale:
      # A skipped step reports the norm 0. If no smaller scale is left to try,
      # the norm stays infinite: the run has diverged.
      is_skipped = self._loss_scale.update(is_finite) & ~is_finite
      norm = tf.where(is_skipped, 0.0, metrics.gradient_norm)
      metrics = metrics._replace(gradient_norm=norm)
    with tf.control_dependencies([metrics.total_loss]):
      tf.raw_ops.AssignAddVariableOp(
          resource=self.model.global_step.handle, value=1
      )
    return metrics

  def _compute(
      self, batch: Any, step: tf.Tensor, scale: tf.Tensor | None
  ) -> tuple[StepMetrics, tf.Tensor]:
    """Computes losses and gradients of a batch, and updates the weights.

    Args:
      batch: The batch of this replica.
      step: The global step before the step; an int32 scalar.
      scale: Scale of the loss, a float32 scalar; None for no scaling.

    Returns:
      The metrics, and whether all gradients were finite; if not, the weights
      are unchanged. A bool scalar.
    """
    replica = tf.distribute.get_replica_context()
    seed = self._seed(step, replica)
    sampling_probability = self.sampling_probability(step)
    with tf.GradientTape() as tape:
      features = self._features(batch.images, seed)
      losses = self._losses(features, batch, seed, sampling_probability)
      num_words = _sum_over_replicas(replica, losses.num_words)
      # This replica's part of the means over the words of the whole batch.
      batch_loss = tf.reduce_sum(losses.word_losses) / num_words
      total_loss = tf.reduce_sum(losses.smoothed_losses) / num_words + (
          losses.regularization_loss / replica.num_replicas_in_sync
      )
      # Inside the tape, so that no gradient on the way back is too small.
      minimized = total_loss if scale is None else total_loss * scale
    gradients = tape.gradient(minimized, list(self._trained.values()))
    learning_rate = self.learning_rate(step)
    norm, is_finite = xla.compiled(self._update, self._jit_compile)(
        [_sum_over_replicas(replica, gradient) for gradient in gradients],
        step,
        learning_rate,
        scale,
    )
    measures = {
        tag: _sum_over_replicas(replica, value) / replica.num_replicas_in_sync
        for tag, value in losses.measures.items()
    }
    if sampling_probability is not None:
      measures[SAMPLING_PROBABILITY] = sampling_probability
    metrics = StepMetrics(
        batch_loss=_sum_over_replicas(replica, batch_loss),
        total_loss=_sum_over_replicas(replica, total_loss),
        learning_rate=learning_rate,
        gradient_norm=norm,
        clipped_gradient_norm=tf.minimum(norm, self._config.clip_gradients),
        measures=measures,
    )
    return metrics, is_finite

  def _features(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns the features of images, which may be features already."""
    encode = functools.partial(self.model.batch_features, dropout_seed=seed)
    has_encoder = images.shape.rank == 4
    return xla.compiled(encode, has_encoder and self._jit_compile)(images)

  def _losses(
      self, features, batch, seed, sampling_probability
  ) -> show_and_tell_model.Losses:
    """Returns the losses of a batch for the features of its images."""
    if self._objective:
      return self._objective.losses(
          self.model,
          features,
          batch,
          seed=seed,
          jit_compile=self._jit_compile,
      )
    losses = functools.partial(
        self.model.caption_losses,
        label_smoothing=self._config.label_smoothing,
        at_padding=self._jit_compile,
    )
    return xla.compiled(losses, self._jit_compile)(
        features,
        batch,
        dropout_seed=seed,
        sampling_probability=sampling_probability,
    )

  def _update(
      self,
      gradients: Sequence[Any],
      step: tf.Tensor,
      learning_rate: tf.Tensor,
      scale: tf.Tensor | None,
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Updates the weights and their averages.

    Args:
      gradients: The gradient of each trained variable, times `scale`.
      step: See `_compute`.
      learning_rate: Learning rate of the step; a float32 scalar.
      scale: See `_compute`.

    Returns:
      The norm of the gradients before clipping, a float32 scalar, and whether
      all were finite, a bool scalar.
    """
    norm = optimizers.global_norm(gradients)
    if scale is not None:
      norm /= scale
    factor = optimizers.clip_factor(norm, self._config.clip_gradients)
    if scale is not None:
      factor /= scale
    is_finite = tf.math.is_finite(norm)
    self._apply(gradients, is_finite, learning_rate, factor)
    self.averages.update(step)
    return norm, is_finite

  def _apply(self, gradients, is_finite, learning_rate, factor) -> None:
    """Updates the variables, unless float16 overflowed."""
    if not self._loss_scale:
      self.optimizer.apply(gradients, learning_rate, factor)
      return

    def apply() -> tf.Tensor:
      self.optimizer.apply(gradients, learning_rate, factor)
      return is_finite

    tf.cond(is_finite, apply, lambda: is_finite)

  def _seed(self, step: tf.Tensor, replica) -> tf.Tensor:
    """Returns the seed of a step on a replica; an integer [2]."""
    # Seeds that are too large for int32 are int64.
    seed = tf.constant(self._config.seed)
    return tf.random.experimental.stateless_fold_in(
        tf.stack([seed, tf.cast(step, seed.dtype)]),
        replica.replica_id_in_sync_group,
    )


def _sum_over_replicas(replica, value):
  if replica.num_replicas_in_sync == 1:
    return value
  return replica.all_reduce(tf.distribute.ReduceOp.SUM, value)
