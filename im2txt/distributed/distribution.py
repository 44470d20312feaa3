"""Distributes training over devices, processes and machines.

| kind | devices | gradients |
| --- | --- | --- |
| off | one | |
| mirrored | all GPUs of this machine | all-reduced at each step |
| multi_worker | the GPUs of all processes | all-reduced at each step |
| parameter_server | one per worker | applied asynchronously |

The batch size of the configuration is the global one: that of a step on all
devices together. So learning rates, losses and checkpoints don't depend on the
number of devices, and a run may resume with another number.
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

# How often a server polls its chief, and after how many failures in a row it
# takes the chief to have ended.
_POLLING_SECS = 2.0
_MAX_FAILED_POLLS = 5

# What TensorFlow raises in a process when another process is lost.
_LOST_ERRORS = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


def local(strategy: tf.distribute.Strategy, value):
  """Returns the first local component of a per-replica value."""
  return strategy.experimental_local_results(value)[0]


def local_variables(
    strategy: tf.distribute.Strategy, variables: Mapping[str, tf.Variable]
) -> dict[str, tf.Variable]:
  """Returns the local component of each variable, by the variable's name."""
  return {name: local(strategy, value) for name, value in variables.items()}


def averaging(
    strategy: tf.distribute.Strategy, variables: Iterable[tf.Variable]
) -> Callable[[], None]:
  """Returns a function that averages per-replica variables over the replicas.

  Args:
    strategy: The strategy.
    variables: Variables created in the strategy's scope. Those that are
      synchronized on read, such as the moving averages of batch normalization,
      differ between replicas; the others are left as they are.

  Returns:
    A function that sets each such variable, on all replicas, to its mean. A
    collective: all processes must call it.
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
    strategy: The TensorFlow strategy.
    is_chief: Whether this process writes checkpoints, summaries and logs.
    num_workers: The number of tasks of type "worker"; 1 without a cluster.
    timeout_secs: How long to wait for a step of another process, in seconds.
    lost_errors: The exceptions that TensorFlow raises when another process is
      lost.
  """

  def __init__(
      self,
      kind: str = "off",
      *,
      cluster: clusters.Cluster | None = None,
      shard_by_record: bool = False,
      timeout_secs: float = 300.0,
  ):
    """Connects the processes.

    TensorFlow must not have run any op in this process before.

    Args:
      kind: One of `KINDS`.
      cluster: The processes; required for `CLUSTER_KINDS`.
      shard_by_record: Whether each process reads all files and keeps its own
        records, instead of reading its own files; see `ops.example_order`.
      timeout_secs: How long to wait for a step of another process, in seconds.

    Raises:
      ValueError: If the task types of the cluster don't fit the kind.
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
    """Whether all replicas take part in every step."""
    return self.kind != "parameter_server"

  @property
  def num_replicas(self) -> int:
    """The number of devices that share the batch of a step."""
    return self.strategy.num_replicas_in_sync

  @property
  def shard(self) -> example_order.Shard:
    """The part of each batch that this process reads."""
    if not self.is_synchronous:  # The chief reads for all workers.
      return example_order.WHOLE
    return example_order.Shard(
        index=self._index,
        count=self._num_processes,
        # Every process has the same number of devices.
        num_devices=self.num_replicas // self._num_processes,
        by_record=self._shard_by_record,
    )

  def any_process(
      self, request: stop_signals.StopRequest, *flags: bool
  ) -> list[bool]:
    """Returns the logical OR of flags over all processes.

    A collective: all processes must call it, with the same number of flags.

    Args:
      request: The stop request of this process. If another process received a
        signal, it is recorded here too.
      *flags: The flags of this process.

    Returns:
      For each flag, whether it is set in any process.
    """
    if self.shard.count == 1:
      return list(flags)
    signals = stop_signals.SIGNALS
    values = [*(request.signal == number for number in signals), *flags]
    counts = self._sum(tf.cast(tf.stack(values), tf.float32)).numpy()
    for number, count in zip(signals, counts, strict=False):
      if count and request.signal is None:
        request.signal = signal.Signals(number)
    return [bool(count) for count in counts[len(signals) :]]

  def _summed(self, values: tf.Tensor) -> tf.Tensor:
    def on_replica(values: tf.Tensor) -> tf.Tensor:
      replica = tf.distribute.get_replica_context()
      # The identity places the values on the replica's device.
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

  TensorFlow must not have run any op in this process before. From then on, only
  the chief logs more than warnings.

  Args:
    kind: One of `KINDS`.
    cluster: The processes; required for `CLUSTER_KINDS`.
    settings: The settings that must be equal in all processes, as JSON values
      by name.
    shard_by_record: Whether each process reads all files; see `Distribution`.
    timeout_secs: How long to wait for the processes, in seconds.

  Returns:
    The distribution.

  Raises:
    ValueError: If a process is missing or has other settings, or the task types
      of the cluster don't fit the kind.
  """
  # At INFO, TensorFlow logs each variable that it sends to other replicas.
  tf.get_logger().setLevel("WARNING")
  if cluster:
    _check(cluster, kind)
    logging.info("%s of %s.", cluster.task, ", ".join(cluster.tasks))
    if kind == "multi_worker":
      rendezvous.barrier(cluster, settings, timeout_secs=timeout_secs)
    else:
      others = [a for task, a in cluster.tasks.items() if task != cluster.task]
      rendezvous.wait_for_servers(others, timeout_secs=timeout_secs)
    if not cluster.is_chief and logging.get_verbosity() == logging.INFO:
      logging.set_verbosity(logging.WARNING)
  return Distribution(
      kind,
      cluster=cluster,
      shard_by_record=shard_by_record,
      timeout_secs=timeout_secs,
  )


def run_server(cluster: clusters.Cluster, *, timeout_secs: float) -> None:
  """Runs a worker or parameter server until the chief ends.

  Args:
    cluster: The processes.
    timeout_secs: How long to wait for the chief to start, in seconds.

  Raises:
    RendezvousError: If the chief does not start in time.
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
  rendezvous.wait_for_servers([address], timeout_secs=timeout_secs)
  failed_polls = 0
  while failed_polls < _MAX_FAILED_POLLS:
    time.sleep(_POLLING_SECS)
    is_running = rendezvous.is_listening(address)
    failed_polls = 0 if is_running else failed_polls + 1
  logging.info("The chief has ended.")


def check_batch_size(batch_size: int, distribution: Distribution) -> None:
  """Checks that the batch can be divided evenly, and logs its division.

  Args:
    batch_size: The global batch size.
    distribution: The devices.

  Raises:
    ValueError: If the batch size is not divisible by the number of devices.
  """
  part = distribution.shard.device_batch_size(batch_size)
  if distribution.num_replicas > 1:
    logging.info(
        "Batch size: %d in all, %d on each of %d replicas.",
        batch_size,
        part,
        distribution.num_replicas,
    )
  elif not distribution.is_synchronous:
    logging.info(
        "Batch size: %d. Each step runs on one of %d workers.",
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
    raise ValueError(
        f"The kind must be one of {', '.join(KINDS)}. Got: {kind!r}."
    )
  if cluster is None:
    raise ValueError(f"{kind} needs a cluster.")
  _check(cluster, kind)
  if kind == "multi_worker":
    return tf.distribute.MultiWorkerMirroredStrategy(cluster.resolver())
  strategy = tf.distribute.ParameterServerStrategy(cluster.resolver())
  if strategy.num_replicas_in_sync > 1:
    raise ValueError(
        "With parameter servers, a worker has one device. Start one worker per"
        " GPU, each with its own CUDA_VISIBLE_DEVICES."
    )
  return strategy


def _check(cluster: clusters.Cluster, kind: str) -> None:
  needed = {"multi_worker": {"worker"}}.get(kind, {"chief", "worker", "ps"})
  allowed = needed | {"chief"}
  types = set(cluster.addresses)
  if not needed <= types <= allowed:
    raise ValueError(
        f"A cluster for {kind} needs tasks of type {', '.join(sorted(needed))}."
        f" Got: {', '.join(sorted(types))}."
    )
