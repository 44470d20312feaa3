"""How a run of training is spread over devices, processes and machines.

| kind | devices | gradients |
| --- | --- | --- |
| off | one | |
| mirrored | all GPUs of this machine | summed at each step |
| multi_worker | those of all processes | summed at each step |
| parameter_server | those of all workers | applied as they come |

The batch size of the configuration is that of a step, whatever its devices. So
learning rates, losses and checkpoints don't depend on how many there are, and a
run may resume with another number of them.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import signal
import time
from typing import Any

from absl import logging
import tensorflow as tf

from im2txt.distributed import clusters
from im2txt.distributed import rendezvous
from im2txt.ops import example_order
from im2txt.runtime import stop_signals

KINDS = ("off", "mirrored", "multi_worker", "parameter_server")
CLUSTER_KINDS = ("multi_worker", "parameter_server")

# How often a server looks whether its chief is there, and how often that may
# fail before it is taken to have ended.
_LOOK_SECS = 2.0
_MAX_FAILED_LOOKS = 5

# What TensorFlow says in a process whose peers are gone.
_LOST_ERRORS = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


def local(strategy: tf.distribute.Strategy, value):
  """This process' first component of what has one for each replica."""
  return strategy.experimental_local_results(value)[0]


def local_variables(
    strategy: tf.distribute.Strategy, variables: Mapping[str, tf.Variable]
) -> dict[str, tf.Variable]:
  """Returns the components of variables that this process can read."""
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


class Distribution:
  """The devices and processes of a run.

  Attributes:
    kind: One of `KINDS`.
    strategy: TensorFlow's strategy.
    is_chief: Whether this process writes checkpoints, summaries and logs.
    num_workers: The number of tasks of that type.
    timeout_secs: How long to wait for a step of another process.
    lost_errors: What TensorFlow raises when another process is lost.
  """

  def __init__(
      self,
      kind: str = "off",
      *,
      cluster: clusters.Cluster | None = None,
      shard_by_record: bool = False,
      timeout_secs: float = 300.0,
  ):
    """Connects the processes; before anything else is done by TensorFlow.

    Args:
      kind: One of `KINDS`.
      cluster: The processes, for the kinds of which there are several.
      shard_by_record: Whether each process reads all files; see `ops.shards`.
      timeout_secs: How long to wait for a step of another process.

    Raises:
      ValueError: If the cluster does not fit the kind.
    """
    self.kind = kind
    self.timeout_secs = timeout_secs
    self.is_chief = cluster is None or cluster.is_chief
    self.lost_errors = _LOST_ERRORS if cluster else ()
    self.strategy = _make_strategy(kind, cluster)
    self.num_workers = len(cluster.addresses["worker"]) if cluster else 1
    self._index = cluster.process_index if cluster else 0
    self._num_processes = len(cluster.tasks) if cluster else 1
    self._shard_by_record = shard_by_record
    self._sum = tf.function(self._summed, autograph=False)

  @property
  def is_synchronous(self) -> bool:
    """Whether all replicas take part in each step."""
    return self.kind != "parameter_server"

  @property
  def num_replicas(self) -> int:
    """The number of devices that share the batch of a step."""
    return self.strategy.num_replicas_in_sync

  @property
  def shard(self) -> example_order.Shard:
    """Which part of each batch this process makes."""
    if not self.is_synchronous:  # The chief reads, for all workers.
      return example_order.WHOLE
    return example_order.Shard(
        index=self._index,
        count=self._num_processes,
        # All processes have as many devices.
        num_parts=self.num_replicas // self._num_processes,
        by_record=self._shard_by_record,
    )

  def agree(
      self, request: stop_signals.StopRequest, *flags: bool
  ) -> list[bool]:
    """Makes all processes know what one of them knows; all must ask at once.

    Args:
      request: Gets the signal that another process received.
      *flags: Any facts.

    Returns:
      For each flag, whether it is set in any process.
    """
    if self.shard.count == 1:
      return list(flags)
    signals = stop_signals.SIGNALS
    facts = [*(request.signal == number for number in signals), *flags]
    counts = self._sum(tf.cast(tf.stack(facts), tf.float32)).numpy()
    for number, count in zip(signals, counts, strict=False):
      if count and request.signal is None:
        request.signal = signal.Signals(number)
    return [bool(count) for count in counts[len(signals) :]]

  def _summed(self, values: tf.Tensor) -> tf.Tensor:
    def on_replica(values: tf.Tensor) -> tf.Tensor:
      replica = tf.distribute.get_replica_context()
      # What is summed has to be on the replica's device.
      return replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(values))

    return local(self.strategy, self.strategy.run(on_replica, args=(values,)))


def connect(
    kind: str,
    cluster: clusters.Cluster | None,
    *,
    settings: Mapping[str, Any],
    shard_by_record: bool = False,
    timeout_secs: float = 300.0,
) -> Distribution:
  """Waits for the processes of a run, and connects them.

  Before anything else is done by TensorFlow. Of processes that don't write,
  from then on only warnings are logged.

  Args:
    kind: One of `KINDS`.
    cluster: The processes, for the kinds of which there are several.
    settings: What all must have in common, as JSON values by name.
    shard_by_record: See `Distribution`.
    timeout_secs: How long to wait for the processes.

  Returns:
    The distribution.

  Raises:
    ValueError: If the processes don't come or don't fit.
  """
  # TensorFlow logs each variable that it sends to other replicas.
  tf.get_logger().setLevel("WARNING")
  if cluster:
    _check(cluster, kind)
    logging.info("%s of %s.", cluster.task, ", ".join(cluster.tasks))
    if kind == "multi_worker":
      rendezvous.meet(cluster, settings, timeout_secs=timeout_secs)
    else:
      others = [a for task, a in cluster.tasks.items() if task != cluster.task]
      rendezvous.wait_for(others, timeout_secs=timeout_secs)
    if not cluster.is_chief and logging.get_verbosity() == logging.INFO:
      logging.set_verbosity(logging.WARNING)
  return Distribution(
      kind,
      cluster=cluster,
      shard_by_record=shard_by_record,
      timeout_secs=timeout_secs,
  )


def serve(cluster: clusters.Cluster, *, timeout_secs: float) -> None:
  """Works for the chief of a run with parameter servers, until that ends.

  Args:
    cluster: The processes.
    timeout_secs: How long to wait for the chief.

  Raises:
    RendezvousError: If it does not come.
  """
  _check(cluster, "parameter_server")
  server = tf.distribute.Server(
      tf.train.ClusterSpec(dict(cluster.addresses)),
      job_name=cluster.task_type,
      task_index=cluster.task_index,
      protocol="grpc",
  )
  logging.info("%s listens at %s.", cluster.task, server.target)
  address = cluster.tasks[cluster.chief]
  rendezvous.wait_for([address], timeout_secs=timeout_secs)
  failed_looks = 0
  while failed_looks < _MAX_FAILED_LOOKS:
    time.sleep(_LOOK_SECS)
    is_there = rendezvous.is_listening(address)
    failed_looks = 0 if is_there else failed_looks + 1
  logging.info("The chief has ended.")


def check_batch_size(batch_size: int, distribution: Distribution) -> None:
  """Checks that a batch can be shared, and logs how it is.

  Args:
    batch_size: Of the configuration.
    distribution: The devices.

  Raises:
    ValueError: If they can't share it evenly.
  """
  part = distribution.shard.part_size(batch_size)
  if distribution.num_replicas > 1:
    logging.info(
        "Batch size: %d in all, %d on each of %d replicas.",
        batch_size,
        part,
        distribution.num_replicas,
    )
  elif not distribution.is_synchronous:
    logging.info(
        "Batch size: %d, each of them on one of %d workers.",
        batch_size,
        distribution.num_workers,
    )


def _make_strategy(
    kind: str, cluster: clusters.Cluster | None
) -> tf.distribute.Strategy:
  match kind:
    case "off":
      return tf.distribute.get_strategy()
    case "mirrored":
      devices = tf.config.list_logical_devices("GPU")
      devices = devices or tf.config.list_logical_devices("CPU")
      return tf.distribute.MirroredStrategy([d.name for d in devices])
  if kind not in CLUSTER_KINDS:
    raise ValueError(f"The kinds are {', '.join(KINDS)}. Got: {kind!r}.")
  if cluster is None:
    raise ValueError(f"{kind} needs a cluster.")
  _check(cluster, kind)
  if kind == "multi_worker":
    return tf.distribute.MultiWorkerMirroredStrategy(cluster.resolver())
  strategy = tf.distribute.ParameterServerStrategy(cluster.resolver())
  if strategy.num_replicas_in_sync > 1:
    raise ValueError(
        "With parameter servers a worker has one device: start a worker for"
        " each GPU, with its own CUDA_VISIBLE_DEVICES."
    )
  return strategy


def _check(cluster: clusters.Cluster, kind: str) -> None:
  needed = {"multi_worker": {"worker"}}.get(kind, {"chief", "worker", "ps"})
  allowed = needed | {"chief"}
  types = set(cluster.addresses)
  if not needed <= types <= allowed:
    raise ValueError(
        f"A cluster for {kind} has tasks of type {', '.join(sorted(needed))}."
        f" Got: {', '.join(sorted(types))}."
    )
