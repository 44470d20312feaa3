"""SGD, momentum and Adam with slot variables under TensorFlow 1's names.

TensorFlow's fused kernels do the updates, in one pass over each variable. The
slots (`<variable>/Momentum`, `<variable>/Adam`, ...) and Adam's `beta1_power`
and `beta2_power` have the names that TensorFlow 1's optimizers gave them, so
that the checkpoints of both are interchangeable.

`WeightAverages` keeps exponential moving averages of weights, also under
TensorFlow 1's names.
"""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import types
from typing import Any

import tensorflow as tf

# Suffix of an average's checkpoint name, after the name of its variable.
SUFFIX = "/ExponentialMovingAverage"

# Kingma and Ba (arXiv 1412.6980), section 2.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8

# Number of elements of the largest tensors that `l2_loss` concatenates.
_LARGEST_JOINED = 2**16


class WeightAverages(tf.Module):
  """Exponential moving averages of variables over training steps.

  With a `tf.distribute` strategy, the averages are created in the strategy's
  scope and updated in replica context.

  Attributes:
    variables_by_name: The averages by checkpoint name,
      `<variable>/ExponentialMovingAverage`.
  """

  def __init__(self, variables: Mapping[str, tf.Variable], *, decay: float):
    """Creates the averages, with the current values of the variables.

    Args:
      variables: Variables to average, by checkpoint name.
      decay: Fraction of itself that an average keeps per step; less in the
        first steps, see `decay_of_step`. 0 creates no averages.
    """
    super().__init__()
    self._decay = decay
    self._averaged = dict(variables) if decay else {}
    self.variables_by_name = {
        name
        + SUFFIX: tf.Variable(
            variable.read_value(), trainable=False, name=name + SUFFIX
        )
        for name, variable in self._averaged.items()
    }

  def decay_of_step(self, step: tf.Tensor) -> tf.Tensor:
    """Returns the decay of step i, which is at most (1 + i) / (10 + i).

    With this limit, as with TensorFlow's `num_updates`, the averages forget the
    initial values soon.

    Args:
      step: A scalar integer Tensor; the number of steps made before.

    Returns:
      A scalar float32 Tensor.
    """
    step = tf.cast(step, tf.float32)
    return tf.minimum(self._decay, (1.0 + step) / (10.0 + step))

  def update(self, step: tf.Tensor) -> None:
    """Moves the averages towards the variables.

    Args:
      step: A scalar integer Tensor; the number of steps made before.
    """
    rate = 1.0 - self.decay_of_step(step)
    for name, variable in self._averaged.items():
      average = self.variables_by_name[name + SUFFIX]
      tf.raw_ops.ResourceApplyGradientDescent(
          var=average.handle,
          alpha=rate,
          delta=average.read_value() - variable.read_value(),
      )

  def restart(self, names: Collection[str]) -> None:
    """Sets averages to the values of their variables.

    A checkpoint may not have averages of all variables.

    Args:
      names: Checkpoint names of the missing variables. Names that are not those
        of averages are ignored.
    """
    for name, variable in self._averaged.items():
      if name + SUFFIX in names:
        self.variables_by_name[name + SUFFIX].assign(variable.read_value())


class Optimizer(tf.Module):
  """Applies gradients to variables.

  With a `tf.distribute` strategy, the optimizer is created in the strategy's
  scope and applied in replica context, to gradients that are already summed
  over the replicas.

  Attributes:
    slots: The optimizer's own variables by checkpoint name; empty for SGD.
  """

  def __init__(
      self,
      variables: Mapping[str, tf.Variable],
      *,
      rate_factors: Mapping[str, float] = types.MappingProxyType({}),
      weight_decays: Mapping[str, float] = types.MappingProxyType({}),
  ):
    """Initializes the optimizer.

    Args:
      variables: Variables to train, by checkpoint name.
      rate_factors: Factors of the learning rate, by the checkpoint names of the
        variables that have one.
      weight_decays: Weight decays, by the checkpoint names of the variables
        that have one. Before each update, a variable is multiplied by 1 minus
        its decay times its learning rate.
    """
    super().__init__()
    self._variables = dict(variables)
    self._rate_factors = dict(rate_factors)
    self._weight_decays = dict(weight_decays)
    self.slots: dict[str, tf.Variable] = {}

  def apply(
      self,
      gradients: Sequence[tf.Tensor | tf.IndexedSlices],
      learning_rate: tf.Tensor,
      gradient_factor: tf.Tensor | float = 1.0,
  ) -> None:
    """Updates the variables in place.

    Args:
      gradients: One gradient per variable, in the order of the variables.
      learning_rate: A scalar float32 Tensor.
      gradient_factor: A scalar float32 Tensor that multiplies all gradients,
        such as the factor of gradient clipping.
    """
    for (name, variable), gradient in zip(
        self._variables.items(), gradients, strict=True
    ):
      rate = learning_rate
      if name in self._rate_factors:
        rate = learning_rate * self._rate_factors[name]
      if name in self._weight_decays:
        tf.raw_ops.AssignSubVariableOp(
            resource=variable.handle,
            value=rate * self._weight_decays[name] * variable.read_value(),
        )
      self._update(name, variable, gradient, rate, gradient_factor)

  def restart_bias_correction(self) -> None:
    """Prepares the optimizer for slots of which some are new."""

  def _update(self, name, variable, gradient, learning_rate, factor) -> None:
    raise NotImplementedError

  def _make_slots(self, kind: str) -> None:
    strategy = tf.distribute.get_strategy()
    for name, variable in self._variables.items():
      # On the variable's own parameter server, if there are several.
      with strategy.extended.colocate_vars_with(variable):
        self._make_slot(f"{name}/{kind}", tf.zeros(variable.shape))

  def _make_slot(self, name: str, initial_value: tf.Tensor | float) -> None:
    self.slots[name] = tf.Variable(initial_value, trainable=False, name=name)


class Sgd(Optimizer):
  """Plain stochastic gradient descent."""

  def _update(self, name, variable, gradient, learning_rate, factor) -> None:
    del name
    # Scaling the rate saves one operation per gradient; phase 2 has 199.
    learning_rate *= factor
    if isinstance(gradient, tf.IndexedSlices):  # Updates these rows only.
      tf.raw_ops.ResourceScatterSub(
          resource=variable.handle,
          indices=gradient.indices,
          updates=learning_rate * gradient.values,
      )
    else:
      tf.raw_ops.ResourceApplyGradientDescent(
          var=variable.handle, alpha=learning_rate, delta=gradient
      )


class Momentum(Optimizer):
  """SGD with momentum: v = momentum * v + g; w -= rate * v."""

  def __init__(
      self,
      variables: Mapping[str, tf.Variable],
      *,
      momentum: float,
      **options: Any,
  ):
    """Creates the velocities.

    Args:
      variables: Variables to train, by checkpoint name.
      momentum: Fraction of the velocity that is kept per step.
      **options: Options of `Optimizer`.
    """
    super().__init__(variables, **options)
    self._momentum = momentum
    self._make_slots("Momentum")

  def _update(self, name, variable, gradient, learning_rate, factor) -> None:
    tf.raw_ops.ResourceApplyMomentum(
        var=variable.handle,
        accum=self.slots[f"{name}/Momentum"].handle,
        lr=learning_rate,
        grad=factor * tf.convert_to_tensor(gradient),
        momentum=self._momentum,
    )


class Adam(Optimizer):
  """Adam (Kingma and Ba, arXiv 1412.6980)."""

  def __init__(self, variables: Mapping[str, tf.Variable], **options: Any):
    """Creates the moments.

    Args:
      variables: Variables to train, by checkpoint name.
      **options: Options of `Optimizer`.
    """
    super().__init__(variables, **options)
    self._make_slots("Adam")
    self._make_slots("Adam_1")
    self._make_slot("beta1_power", _BETA1)
    self._make_slot("beta2_power", _BETA2)

  def apply(self, gradients, learning_rate, gradient_factor=1.0) -> None:
    """See `Optimizer.apply`."""
    super().apply(gradients, learning_rate, gradient_factor)
    for name, beta in (("beta1_power", _BETA1), ("beta2_power", _BETA2)):
      power = self.slots[name]
      tf.raw_ops.AssignVariableOp(
          resource=power.handle, value=power.read_value() * beta
      )

  def restart_bias_correction(self) -> None:
    """See `Optimizer.restart_bias_correction`.

    Without this, the first steps of variables with new moments are up to 6.6
    times as large as the learning rate. With it, the steps of the others are
    smaller for some hundred steps, by at most the same factor.
    """
    self.slots["beta1_power"].assign(_BETA1)
    self.slots["beta2_power"].assign(_BETA2)

  def _update(self, name, variable, gradient, learning_rate, factor) -> None:
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=self.slots[f"{name}/Adam"].handle,
        v=self.slots[f"{name}/Adam_1"].handle,
        beta1_power=self.slots["beta1_power"].read_value(),
        beta2_power=self.slots["beta2_power"].read_value(),
        lr=learning_rate,
        beta1=_BETA1,
        beta2=_BETA2,
        epsilon=_EPSILON,
        grad=factor * tf.convert_to_tensor(gradient),
    )


def make_optimizer(
    name: str,
    variables: Mapping[str, tf.Variable],
    *,
    momentum: float = 0.9,
    **options: Any,
) -> Optimizer:
  """Creates the optimizer with a given name.

  Args:
    name: "SGD", "momentum" or "adam", in upper or lower case.
    variables: Variables to train, by checkpoint name.
    momentum: Fraction of the velocity that is kept per step; only for momentum.
    **options: Options of `Optimizer`.

  Returns:
    The optimizer.

  Raises:
    ValueError: If there is no optimizer with this name.
  """
  match name.lower():
    case "sgd":
      return Sgd(variables, **options)
    case "momentum":
      return Momentum(variables, momentum=momentum, **options)
    case "adam":
      return Adam(variables, **options)
  raise ValueError(f"The optimizers are SGD, momentum and adam. Got: {name!r}.")


def global_norm(gradients: Sequence[tf.Tensor | tf.IndexedSlices]) -> tf.Tensor:
  """Returns the L2 norm of the vector of all gradients.

  As in the original, a row that occurs several times in a sparse gradient
  counts each time by itself, not with the sum of its values.

  Args:
    gradients: Float32 gradients of any shapes.

  Returns:
    A scalar float32 Tensor.
  """
  values = [
      g.values if isinstance(g, tf.IndexedSlices) else g for g in gradients
  ]
  return tf.sqrt(2.0 * l2_loss(values))


def l2_loss(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
  """Returns half the sum of the squares of all elements.

  Small tensors are concatenated, because on a GPU an operation on one of them
  takes as long to start as an operation on all. Concatenating large tensors
  would take longer than it saves.

  Args:
    tensors: Float32 Tensors of any shapes.

  Returns:
    A scalar float32 Tensor.
  """
  small, losses = [], []
  for tensor in map(tf.convert_to_tensor, tensors):
    size = tensor.shape.num_elements()
    if size is not None and size <= _LARGEST_JOINED:
      small.append(tf.reshape(tensor, [-1]))
    else:
      losses.append(tf.nn.l2_loss(tensor))
  if small:
    losses.append(tf.nn.l2_loss(tf.concat(small, axis=0)))
  return tf.add_n(losses)


def clip_factor(norm: tf.Tensor, clip_norm: float) -> tf.Tensor:
  """Returns the factor that clips gradients to a maximum global norm.

  Args:
    norm: A scalar float32 Tensor; the global norm of the gradients.
    clip_norm: Maximum of the global norm.

  Returns:
    A scalar float32 Tensor, at most 1. It is NaN if the norm is not finite, so
    that divergence cannot go unnoticed.
  """
  factor = tf.minimum(clip_norm / norm, 1.0)
  return tf.where(tf.math.is_finite(norm), factor, float("nan"))
