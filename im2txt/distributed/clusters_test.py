"""Tests of finding the processes of a run in environment variables."""

import json
import os
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.distributed import clusters


def _find(addresses, task_type, index):
  value = {"cluster": addresses, "task": {"type": task_type, "index": index}}
  with mock.patch.dict(os.environ, {"TF_CONFIG": json.dumps(value)}):
    return clusters.find()


class ClustersTest(parameterized.TestCase):

  def test_worker_0_is_the_chief_if_there_is_no_other(self):
    addresses = {"worker": ["a:1", "b:1"]}
    first, second = (_find(addresses, "worker", index) for index in (0, 1))
    self.assertTrue(first.is_chief)
    self.assertFalse(second.is_chief)
    self.assertEqual("worker 0", second.chief)
    self.assertEqual(1, second.process_index)

  def test_all_types(self):
    addresses = {"ps": ["c:1"], "worker": ["b:1"], "chief": ["a:1"]}
    cluster = _find(addresses, "worker", 0)
    self.assertFalse(cluster.is_chief)
    self.assertEqual(
        {"chief 0": "a:1", "worker 0": "b:1", "ps 0": "c:1"}, cluster.tasks
    )
    resolver = cluster.resolver()
    self.assertEqual(addresses, resolver.cluster_spec().as_dict())
    self.assertEqual(("worker", 0), (resolver.task_type, resolver.task_id))

  @parameterized.named_parameters(
      (
          "index",
          {"worker": ["a:1"]},
          "worker",
          1,
          "are worker 0, but .* is worker 1",
      ),
      ("type", {"worker": ["a:1"]}, "ps", 0, "are worker 0, but .* is ps 0"),
      ("unknown", {"master": ["a:1"]}, "master", 0, "Got: master"),
  )
  def test_wrong_task(self, addresses, task_type, index, message):
    with self.assertRaisesRegex(ValueError, message):
      _find(addresses, task_type, index)

  @parameterized.parameters(
      "{",
      "{}",
      "[]",
      '{"cluster": {}, "task": 1}',
      '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
      '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": "x"}}',
      '{"cluster": ["a:1"], "task": {"type": "worker", "index": 0}}',
  )
  def test_wrong_text(self, text):
    with (
        mock.patch.dict(os.environ, {"TF_CONFIG": text}),
        self.assertRaisesRegex(ValueError, "TF_CONFIG must be a JSON object"),
    ):
      clusters.find()

  @mock.patch.dict(os.environ, {}, clear=True)
  def test_variables_are_missing(self):
    with self.assertRaisesRegex(ValueError, "need TF_CONFIG .* srun"):
      clusters.find()


class SlurmTest(absltest.TestCase):

  def _find(self, **changes):
    variables = {
        "SLURM_PROCID": "2",
        "SLURM_STEP_NUM_TASKS": "3",
        "SLURM_STEP_NODELIST": "n[1-2]",
        "SLURM_STEP_TASKS_PER_NODE": "2,1",
        "SLURMD_NODENAME": "n2",
        **changes,
    }
    with mock.patch.dict(os.environ, variables):
      return clusters.find(slurm_port=7000)

  def test_tasks_of_srun(self):
    cluster = self._find()
    self.assertEqual(
        {"worker": ["n1:7000", "n1:7001", "n2:7000"]}, cluster.addresses
    )
    self.assertEqual("worker 2", cluster.task)

  def test_other_order_of_machines(self):
    with self.assertRaisesRegex(ValueError, "runs on n1, but .* to n2"):
      self._find(SLURMD_NODENAME="n1")

  def test_wrong_variables(self):
    with self.assertRaisesRegex(ValueError, "Slurm's variables are invalid"):
      self._find(SLURM_STEP_NODELIST="n[")


if __name__ == "__main__":
  absltest.main()
