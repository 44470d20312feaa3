"""SGD, momentum and Adam with slots under TensorFlow 1's names.

TensorFlow's own kernels do the updates, in one pass over a variable each. The
slots (`<variable>/Momentum`, `<variable>/Adam`, ...) and Adam's `beta1_power`
and `beta2_power` are what TensorFlow 1's optimizers called them, so that they
fit checkpoints of either kind.
"""

from collections.abc import Mapping
from collections.abc import Sequence

import tensorflow as tf

# Kingma and Ba (arXiv 1412.6980), section 2.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class Optimizer(tf.Module):
  """Applies gradients to variables.

  Under a `tf.distribute` strategy it is made in the strategy's scope and
  applied in replica context, with gradients already summed over the replicas.

  Attributes:
    slots: The optimizer's own variables by checkpoint name; for SGD, none.
    rate_factors: What to multiply the learning rate of some variables by, by
      name; at first of none.
    weight_decays: What some variables lose of themselves, times the learning
      rate, before each update, by name; at first none does.
  """

  def __init__(self, variables: Mapping[str, tf.Variable]):
    """Takes the variables to train.

    Args:
      variables: The variables by checkpoint name.
    """
    super().__init__()
    self._variables = dict(variables)
    self.slots: dict[str, tf.Variable] = {}
    self.rate_factors: dict[str, float] = {}
    self.weight_decays: dict[str, float] = {}

  def apply(
      self,
      gradients: Sequence[tf.Tensor | tf.IndexedSlices],
      learning_rate: tf.Tensor,
  ) -> None:
    """Updates the variables in place.

    Args:
      gradients: One for each variable, in their order.
      learning_rate: A float32 scalar.
    """
    for (name, variable), gradient in zip(
        self._variables.items(), gradients, strict=True
    ):
      rate = learning_rate
      if name in self.rate_factors:
        rate = learning_rate * self.rate_factors[name]
      if name in self.weight_decays:
        tf.raw_ops.AssignSubVariableOp(
            resource=variable.handle,
            value=rate * self.weight_decays[name] * variable.read_value(),
        )
      self._update(name, variable, gradient, rate)

  def _update(self, name, variable, gradient, learning_rate) -> None:
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

  def _update(self, name, variable, gradient, learning_rate) -> None:
    del name
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

  def __init__(self, variables: Mapping[str, tf.Variable], *, momentum: float):
    """See `Optimizer`; `momentum` is how much of the velocity is kept."""
    super().__init__(variables)
    self._momentum = momentum
    self._make_slots("Momentum")

  def _update(self, name, variable, gradient, learning_rate) -> None:
    tf.raw_ops.ResourceApplyMomentum(
        var=variable.handle,
        accum=self.slots[f"{name}/Momentum"].handle,
        lr=learning_rate,
        grad=tf.convert_to_tensor(gradient),
        momentum=self._momentum,
    )


class Adam(Optimizer):
  """Adam (Kingma and Ba, arXiv 1412.6980)."""

  def __init__(self, variables: Mapping[str, tf.Variable]):
    """See `Optimizer`."""
    super().__init__(variables)
    self._make_slots("Adam")
    self._make_slots("Adam_1")
    self._make_slot("beta1_power", _BETA1)
    self._make_slot("beta2_power", _BETA2)

  def apply(self, gradients, learning_rate) -> None:
    """See `Optimizer.apply`."""
    super().apply(gradients, learning_rate)
    for name, beta in (("beta1_power", _BETA1), ("beta2_power", _BETA2)):
      power = self.slots[name]
      tf.raw_ops.AssignVariableOp(
          resource=power.handle, value=power.read_value() * beta
      )

  def _update(self, name, variable, gradient, learning_rate) -> None:
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
        grad=tf.convert_to_tensor(gradient),
    )


def make_optimizer(
    name: str, variables: Mapping[str, tf.Variable], *, momentum: float = 0.9
) -> Optimizer:
  """The optimizer of a name.

  Args:
    name: "SGD", "momentum" or "adam", in any case.
    variables: The variables to train, by checkpoint name.
    momentum: For the optimizer "momentum".

  Returns:
    The optimizer.

  Raises:
    ValueError: If there is no optimizer of that name.
  """
  match name.lower():
    case "sgd":
      return Sgd(variables)
    case "momentum":
      return Momentum(variables, momentum=momentum)
    case "adam":
      return Adam(variables)
  raise ValueError(f"The optimizers are SGD, momentum and adam. Got: {name!r}.")
