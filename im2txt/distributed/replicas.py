"""Values that each replica of a `tf.distribute` strategy has of its own."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping

import tensorflow as tf


def local(strategy: tf.distribute.Strategy, value):
  """This process' first component of what has one for each replica."""
  return strategy.experimental_local_results(value)[0]


def local_variables(
    strategy: tf.distribute.Strategy, variables: Mapping[str, tf.Variable]
) -> dict[str, tf.Variable]:
  """The components of variables that can be read without other processes."""
  return {name: local(strategy, value) for name, value in variables.items()}


def averaging(
    strategy: tf.distribute.Strategy, variables: Iterable[tf.Variable]
) -> Callable[[], None]:
  """Makes what replicas keep on their own the same on all.

  Args:
    strategy: The strategy.
    variables: Any variables in its scope. Of those that are averaged when read,
      as a batch normalisation's moving averages are, each replica has its own.

  Returns:
    A function that gives them their mean; all processes must call it at the
    same time.
  """
  own = [
      variable
      for variable in variables
      if variable.synchronization == tf.VariableSynchronization.ON_READ
  ]
  if strategy.num_replicas_in_sync == 1 or not own:
    return lambda: None

  def on_replica() -> None:
    replica = tf.distribute.get_replica_context()
    means = replica.all_reduce(
        tf.distribute.ReduceOp.MEAN, [variable.read_value() for variable in own]
    )
    for variable, mean in zip(own, means, strict=True):
      variable.assign(mean)

  return tf.function(lambda: strategy.run(on_replica), autograph=False)
