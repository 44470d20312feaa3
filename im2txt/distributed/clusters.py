"""The processes of a distributed run, and the role of the current one.

They are read from the environment variable TF_CONFIG, as TensorFlow defines it:

    {"cluster": {"worker": ["host0:2222", "host1:2222"]},
     "task": {"type": "worker", "index": 0}}

or, if it is not set, from the variables that Slurm sets for tasks of `srun`.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os

import tensorflow as tf

_VARIABLE = "TF_CONFIG"
_SLURM_VARIABLE = "SLURM_PROCID"
# In the order in which TensorFlow ranks the processes.
_TASK_TYPES = ("chief", "worker", "ps")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster:
  """The processes of a run.

  Attributes:
    addresses: Lists of addresses, such as "host0:2222", by task type: "chief",
      "worker" or "ps".
    task_type: The task type of this process.
    task_index: The index of this process among those of its type, from 0.
  """

  addresses: Mapping[str, Sequence[str]]
  task_type: str
  task_index: int

  def __post_init__(self):
    unknown = set(self.addresses).difference(_TASK_TYPES)
    if unknown:
      raise ValueError(
          f"The task types of a cluster are {', '.join(_TASK_TYPES)}. Got:"
          f" {', '.join(sorted(unknown))}."
      )
    if self.task not in self.tasks:
      raise ValueError(
          f"The tasks of the cluster are {', '.join(self.tasks) or 'missing'},"
          f" but this task is {self.task}."
      )

  @property
  def tasks(self) -> dict[str, str]:
    """Addresses by task name, such as "worker 1"; the chief comes first."""
    return {
        f"{task_type} {index}": address
        for task_type in _TASK_TYPES
        for index, address in enumerate(self.addresses.get(task_type, ()))
    }

  @property
  def task(self) -> str:
    """The name of this process, such as "worker 1"."""
    return f"{self.task_type} {self.task_index}"

  @property
  def chief(self) -> str:
    """The name of the process that writes files: the chief or worker 0."""
    return next(iter(self.tasks))

  @property
  def is_chief(self) -> bool:
    """Whether this process is the one that writes files."""
    return self.task == self.chief

  @property
  def process_index(self) -> int:
    """The rank of this process among all; the chief's is 0."""
    return list(self.tasks).index(self.task)

  def resolver(self) -> tf.distribute.cluster_resolver.ClusterResolver:
    """Returns a resolver for TensorFlow's distribution strategies."""
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(dict(self.addresses)),
        task_type=self.task_type,
        task_id=self.task_index,
        rpc_layer="grpc",
    )


def find(*, slurm_port: int = 8888) -> Cluster:
  """Returns the cluster that the environment variables describe.

  Args:
    slurm_port: Under Slurm, the port of the first task on each machine; further
      tasks on the same machine use the ports that follow.

  Returns:
    The cluster.

  Raises:
    ValueError: If the variables are missing or invalid.
  """
  if os.environ.get(_VARIABLE):
    return _from_tf_config(os.environ[_VARIABLE])
  if _SLURM_VARIABLE in os.environ:
    return _from_slurm(slurm_port, os.environ.get("SLURMD_NODENAME", ""))
  raise ValueError(
      f"Several processes need {_VARIABLE} in each one's environment, or must"
      " be started by Slurm's srun; see g3doc/distributed.md."
  )


def _from_tf_config(text: str) -> Cluster:
  resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
  try:
    spec = resolver.cluster_spec()
    addresses = {job: spec.job_tasks(job) for job in spec.jobs}
    task_type, task_index = resolver.task_type, resolver.task_id
    if task_type is None or task_index is None:
      raise ValueError("`task` is missing.")
  except (TypeError, ValueError) as error:
    raise ValueError(
        f"{_VARIABLE} must be a JSON object with `cluster` and `task`; see"
        f" g3doc/distributed.md. Got: {text!r}."
    ) from error
  return Cluster(
      addresses=addresses, task_type=task_type, task_index=task_index
  )


def _from_slurm(port: int, node: str) -> Cluster:
  """Returns the cluster of Slurm's variables.

  Args:
    port: The port of the first task on each machine.
    node: The name of this machine according to Slurm; empty if unknown.

  Returns:
    The cluster, all of whose tasks are workers.

  Raises:
    ValueError: If the variables are invalid, or TensorFlow assigns this task to
      another machine.
  """
  try:
    # The resolver would assign GPUs to tasks, which is Slurm's job, and fails
    # without any.
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=port, gpus_per_node=1024, gpus_per_task=1, auto_set_gpu=False
    )
    addresses = resolver.cluster_spec().as_dict()
  except (RuntimeError, ValueError) as error:
    raise ValueError(f"Slurm's variables are invalid: {error}") from error
  task_type, task_index = resolver.get_task_info()
  cluster = Cluster(
      addresses=addresses, task_type=task_type, task_index=task_index
  )
  host = cluster.tasks[cluster.task].partition(":")[0]
  if node and host.partition(".")[0] != node.partition(".")[0]:
    raise ValueError(
        f"Slurm's task {task_index} runs on {node}, but TensorFlow, which sorts"
        f" the machines by name, assigns it to {host}. Set {_VARIABLE} instead."
    )
  return cluster
