"""The processes of a distributed run, and which of them this one is.

They come from the environment variable TF_CONFIG, as TensorFlow defines it:

    {"cluster": {"worker": ["host0:2222", "host1:2222"]},
     "task": {"type": "worker", "index": 0}}

or, without it, from the variables that Slurm sets for each task of `srun`.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import os
from typing import Any

import tensorflow as tf

_VARIABLE = "TF_CONFIG"
_SLURM_VARIABLE = "SLURM_PROCID"
# In the order in which TensorFlow numbers the processes.
_TASK_TYPES = ("chief", "worker", "ps")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster:
  """The processes of a run.

  Attributes:
    addresses: The addresses, such as "host0:2222", of each task type: "chief",
      "worker" or "ps".
    task_type: This process' type.
    task_index: Its number among those of its type; the first is 0.
  """

  addresses: Mapping[str, Sequence[str]]
  task_type: str
  task_index: int

  def __post_init__(self):
    unknown = set(self.addresses).difference(_TASK_TYPES)
    if unknown:
      raise ValueError(
          f"A cluster has tasks of type {', '.join(_TASK_TYPES)}. Got:"
          f" {', '.join(sorted(unknown))}."
      )
    if self.task not in self.tasks:
      raise ValueError(
          f"The cluster has {', '.join(self.tasks) or 'no task'}, but this task"
          f" is {self.task}."
      )

  @property
  def tasks(self) -> dict[str, str]:
    """The addresses by names such as "worker 1", the chief's first."""
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
    """The name of the process that writes: the chief or else worker 0."""
    return next(iter(self.tasks))

  @property
  def is_chief(self) -> bool:
    """Whether this process is the one that writes."""
    return self.task == self.chief

  @property
  def process_index(self) -> int:
    """This process' number among all of them; the chief's is 0."""
    return list(self.tasks).index(self.task)

  def resolver(self) -> tf.distribute.cluster_resolver.ClusterResolver:
    """Describes this cluster to TensorFlow's strategies."""
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(dict(self.addresses)),
        task_type=self.task_type,
        task_id=self.task_index,
        rpc_layer="grpc",
    )


def find(
    environment: Mapping[str, str] = os.environ, *, slurm_port: int = 8888
) -> Cluster:
  """Returns the cluster that the environment describes.

  Args:
    environment: The environment variables.
    slurm_port: Under Slurm, the port of a machine's first task; the others'
      follow.

  Returns:
    The cluster.

  Raises:
    ValueError: If there is no description, or a wrong one.
  """
  if environment.get(_VARIABLE):
    return _parse(environment[_VARIABLE])
  if _SLURM_VARIABLE in environment:
    return _of_slurm(slurm_port, environment.get("SLURMD_NODENAME", ""))
  raise ValueError(
      f"Several processes need {_VARIABLE} in each one's environment, or to be"
      " started by Slurm's srun; see g3doc/distributed.md."
  )


def _parse(text: str) -> Cluster:
  try:
    values: Any = json.loads(text)
    task_type, task_index = values["task"]["type"], int(values["task"]["index"])
    addresses = {
        task_type: _check_list(values["cluster"][task_type])
        for task_type in values["cluster"]
    }
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(
        f"{_VARIABLE} must be a JSON object with `cluster` and `task`; see"
        f" g3doc/distributed.md. Got: {text!r}."
    ) from error
  return Cluster(
      addresses=addresses, task_type=task_type, task_index=task_index
  )


def _check_list(addresses: Any) -> list[str]:
  """Lets nothing but a list pass: of a text, each letter would be a task."""
  if not isinstance(addresses, list):
    raise TypeError(f"Not a list: {addresses!r}.")
  return addresses


def _of_slurm(port: int, node: str) -> Cluster:
  try:
    # It would divide the GPUs among tasks, which is left to Slurm, and can't
    # do without any.
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=port, gpus_per_node=1024, gpus_per_task=1, auto_set_gpu=False
    )
    addresses = resolver.cluster_spec().as_dict()
  except (RuntimeError, ValueError) as error:
    raise ValueError(f"Slurm's variables can't be used: {error}") from error
  task_type, task_index = resolver.get_task_info()
  cluster = Cluster(
      addresses=addresses, task_type=task_type, task_index=task_index
  )
  host = cluster.tasks[cluster.task].partition(":")[0]
  if node and host.partition(".")[0] != node.partition(".")[0]:
    raise ValueError(
        f"Slurm's task {task_index} runs on {node}, but TensorFlow, which sorts"
        f" the names of machines, takes it to be on {host}. Set {_VARIABLE}."
    )
  return cluster
