"""SGD, momentum and Adam with slots under TensorFlow 1's names.

TensorFlow's own kernels do the updates, in one pass over a variable each. The
slots (`<variable>/Momentum`, `<variable>/Adam`, ...) and Adam's `beta1_power`
and `beta2_power` are what TensorFlow 1's optimizers called them, so that they
fit checkpoints of either kind.

`WeightAverages` keeps exponential moving averages of weights, under TensorFlow
1's names as well.
"""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import types
from typing import Any

import tensorflow as tf

# What the name of an average adds to that of its variable in a checkpoint.
SUFFIX = "/ExponentialMovingAverage"

# Kingma and Ba (arXiv 1412.6980), section 2.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8

# The elements of the largest tensors that `l2_loss` joins.
_LARGEST_JOINED = 2**16


class WeightAverages(tf.Module):
  """Averages of variables over the steps of training.

  Under a `tf.distribute` strategy they are made in the strategy's scope and
  updated in replica context.

  Attributes:
    variables_by_name: The averages by checkpoint name,
      `<variable>/ExponentialMovingAverage`.
  """

  def __init__(self, variables: Mapping[str, tf.Variable], *, decay: float):
    """Makes the averages, with the variables' values of now.

    Args:
      variables: The variables to average, by checkpoint name.
      decay: How much of itself an average keeps in a step; less in the first
        ones; see `decay_of_step`. 0 makes no averages.
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
    """Returns the decay of a step: (1 + i) / (10 + i) at most.

    So they soon forget the initial values, as TensorFlow's `num_updates` does.

    Args:
      step: The number of steps done before; an integer scalar.

    Returns:
      A float32 scalar.
    """
    step = tf.cast(step, tf.float32)
    return tf.minimum(self._decay, (1.0 + step) / (10.0 + step))

  def update(self, step: tf.Tensor) -> None:
    """Moves the averages towards the variables; `step` as above."""
    rate = 1.0 - self.decay_of_step(step)
    for name, variable in self._averaged.items():
      average = self.variables_by_name[name + SUFFIX]
      tf.raw_ops.ResourceApplyGradientDescent(
          var=average.handle,
          alpha=rate,
          delta=average.read_value() - variable.read_value(),
      )

  def restart(self, names: Collection[str]) -> None:
    """Gives averages that a checkpoint lacked the values of their variables.

    Args:
      names: Checkpoint names, of which those of averages count.
    """
    for name, variable in self._averaged.items():
      if name + SUFFIX in names:
        self.variables_by_name[name + SUFFIX].assign(variable.read_value())


class Optimizer(tf.Module):
  """Applies gradients to variables.

  Under a `tf.distribute` strategy it is made in the strategy's scope and
  applied in replica context, with gradients already summed over the replicas.

  Attributes:
    slots: The optimizer's own variables by checkpoint name; for SGD, none.
  """

  def __init__(
      self,
      variables: Mapping[str, tf.Variable],
      *,
      rate_factors: Mapping[str, float] = types.MappingProxyType({}),
      weight_decays: Mapping[str, float] = types.MappingProxyType({}),
  ):
    """Takes the variables to train.

    Args:
      variables: The variables by checkpoint name.
      rate_factors: Factors of the learning rate, by the names of the variables
        that have one.
      weight_decays: The shares of themselves that variables lose before each
        update, times the learning rate, by the names of those that do.
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
      learning_rate: A float32 scalar.
      gradient_factor: A float32 scalar that all gradients are multiplied by,
        such as that of clipping.
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
    # No operation for each gradient: phase 2 has 199 of them.
    learning_rate *= factor
    if isinstance(gradient, tf.IndexedSlices):  # Touches these rows only.
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
    """Makes the velocities.

    Args:
      variables: The variables by checkpoint name.
      momentum: The share of the velocity that a step keeps.
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
    """See `Optimizer`."""
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
  """Makes the optimizer of a name.

  Args:
    name: "SGD", "momentum" or "adam", in upper or lower case.
    variables: The variables to train, by checkpoint name.
    momentum: See `Momentum`; the others have none.
    **options: Options of `Optimizer`.

  Returns:
    The optimizer.

  Raises:
    ValueError: If there is no optimizer of that name.
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
  """Returns the L2 norm of all gradients as one vector.

  The rows of a sparse gradient count one by one, however often a row is in it,
  as in the original.

  Args:
    gradients: Float32 gradients of any shapes.

  Returns:
    A float32 scalar.
  """
  values = [
      g.values if isinstance(g, tf.IndexedSlices) else g for g in gradients
  ]
  return tf.sqrt(2.0 * l2_loss(values))


def l2_loss(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
  """Returns half the sum of the squares of all elements.

  Small tensors are joined, since a GPU takes as long to start an operation on
  one of them as on all; to join large ones would take longer than it saves.

  Args:
    tensors: Float32 Tensors of any shapes.

  Returns:
    A float32 scalar.
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
  """Returns the factor of gradients that limits their global norm.

  Args:
    norm: Their global norm, a float32 scalar.
    clip_norm: The limit.

  Returns:
    A float32 scalar, at most 1; NaN if the norm is not finite, so that a run
    that diverged can't go unnoticed.
  """
  factor = tf.minimum(clip_norm / norm, 1.0)
  return tf.where(tf.math.is_finite(norm), factor, float("nan"))
