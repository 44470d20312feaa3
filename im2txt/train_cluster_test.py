"""Tests of `train` as several processes, on ports of this machine."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import saved_config
from im2txt.data import caption_data
from im2txt.data import feature_cache
from im2txt.runtime import folder_lock
from im2txt.testing import programs
from im2txt.testing import tiny
from im2txt.training import training_loop

# Without dropout, which differs between replicas.
_CONFIG = dataclasses.replace(tiny.CONFIG, lstm_dropout_keep_prob=1.0)
_TRAINING = configuration.TrainingConfig(
    initial_learning_rate=0.01, optimizer="adam", save_checkpoint_secs=0.0
)
_STEPS = 20
_SECONDS_TO_WAIT = 600
_LOSS = re.compile(r"global step (\d+): loss = ([\d.]+)")


class Processes(contextlib.AbstractContextManager):
  """Processes of `train`, which are killed on exit if they still run."""

  def __init__(self, tasks, *arguments, **environment):
    """Starts the processes.

    Args:
      tasks: Number of tasks by type.
      *arguments: Arguments of the program.
      **environment: Environment variables to add.
    """
    ports = iter(programs.free_ports(sum(tasks.values())))
    addresses = {
        task_type: [f"localhost:{next(ports)}" for _ in range(count)]
        for task_type, count in tasks.items()
    }
    self.processes, self._outputs = {}, {}
    # Files, because a process whose pipe is not read would block.
    self._folder = tempfile.TemporaryDirectory()
    for task_type, count in tasks.items():
      for index in range(count):
        task = {"type": task_type, "index": index}
        config = json.dumps({"cluster": addresses, "task": task})
        name = f"{task_type} {index}"
        self._outputs[name] = pathlib.Path(self._folder.name, name)
        with self._outputs[name].open("wb") as stderr:
          self.processes[name] = subprocess.Popen(
              programs.command("train", *arguments),
              env={
                  **programs.environment(),
                  **environment,
                  "TF_CONFIG": config,
              },
              stderr=stderr,
          )

  def __exit__(self, *error):
    for process in self.processes.values():
      process.kill()
      process.wait()
    self._folder.cleanup()

  def wait(self, task):
    """Returns the exit status of a process and its output on stderr."""
    process = self.processes[task]
    try:
      process.wait(_SECONDS_TO_WAIT)
    except subprocess.TimeoutExpired:
      logs = {name: path.read_text() for name, path in self._outputs.items()}
      raise AssertionError(f"{task} does not end: {logs}") from None
    return process.returncode, self._outputs[task].read_text()

  def read_until(self, task, text):
    """Returns the output on stderr when it contains `text` or has ended."""
    output = ""
    has_ended = False
    while text not in output and not has_ended:
      time.sleep(0.02)
      has_ended = self.processes[task].poll() is not None
      output = self._outputs[task].read_text()
    return output


class TrainClusterTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.train_dir = self._make_train_dir("train")

  def _make_train_dir(self, name):
    folder = os.path.join(self.dir, name)
    os.mkdir(folder)
    saved_config.save(folder, _CONFIG, _TRAINING)
    return folder

  def _arguments(self, steps, train_dir=None):
    pattern = os.path.join(self.dir, "pairs-00000-of-00001")
    if not os.path.exists(pattern):
      tiny.write_pairs(self.dir, os.path.basename(pattern), 6)
    return (
        f"--input_file_pattern={pattern}",
        f"--train_dir={train_dir or self.train_dir}",
        f"--number_of_steps={steps}",
    )

  def _losses(self, text):
    return {int(step): float(loss) for step, loss in _LOSS.findall(text)}

  def test_two_workers_train_as_one_even_if_one_is_killed(self):
    alone = self._make_train_dir("alone")
    ran = programs.run("train", *self._arguments(_STEPS, alone))
    self.assertEqual(0, ran.returncode, ran.stderr)
    expected = self._losses(ran.stderr)
    self.assertLen(expected, _STEPS)

    arguments = (*self._arguments(_STEPS), "--distribution=multi_worker")
    with Processes({"worker": 2}, *arguments) as cluster:
      cluster.read_until("worker 0", "global step 7:")
      cluster.processes["worker 1"].send_signal(signal.SIGKILL)
      status, text = cluster.wait("worker 0")
    self.assertIn("Batch size: 4 in all, 2 on each of 2 replicas.", text)
    self.assertEqual(1, status)
    self.assertRegex(
        text.splitlines()[-1],
        r"^train: Another process of the run is lost; .* to resume from ",
    )
    first = self._losses(text)

    step = int(checkpoint_paths.find_latest(self.train_dir).rpartition("-")[2])
    with Processes({"worker": 2}, *arguments) as cluster:
      status, text = cluster.wait("worker 0")
      self.assertEqual(0, status, text)
      self.assertEqual(0, cluster.wait("worker 1")[0])
    second = self._losses(text)
    self.assertEqual(step + 1, min(second))
    self.assertEqual(_STEPS, max(second))
    # The log rounds to four decimal places.
    self.assertAllClose(expected, first | second, rtol=0, atol=1.01e-4)
    self._check_equal(alone, self.train_dir)

  def _check_equal(self, expected_dir, actual_dir):
    expected, actual = (
        tf.train.load_checkpoint(checkpoint_paths.find(folder))
        for folder in (expected_dir, actual_dir)
    )
    names = expected.get_variable_to_shape_map()
    self.assertEqual(names, actual.get_variable_to_shape_map())
    for name in names:
      self.assertAllClose(
          expected.get_tensor(name), actual.get_tensor(name), 1e-3, 1e-3, name
      )

  def test_parameter_server(self):
    loop = training_loop.TrainingLoop(
        model_config=_CONFIG,
        training_config=_TRAINING,
        train_dir=self.train_dir,
    )
    file = tiny.write_features(self.dir, "features-00000-of-00001", 6)
    encoder = loop.trainer.model.encoder
    feature_cache.begin_set(self.dir, "features", encoder, _CONFIG, {})
    feature_cache.end_set(self.dir, "features")
    # Saves a checkpoint, so that the run uses this encoder.
    data = caption_data.CaptionData(
        files=[file], config=_CONFIG, are_features=True
    )
    loop.run(data, number_of_steps=0)
    arguments = (
        f"--input_feature_pattern={file}",
        f"--train_dir={self.train_dir}",
        f"--number_of_steps={_STEPS}",
        "--distribution=parameter_server",
    )
    tasks = {"chief": 1, "worker": 1, "ps": 1}
    with Processes(tasks, *arguments) as cluster:
      status, text = cluster.wait("chief 0")
      self.assertEqual(0, status, text)
      self.assertEqual(0, cluster.wait("worker 0")[0])
      self.assertEqual(0, cluster.wait("ps 0")[0])
    self.assertIn("Batch size: 4. Each step runs on one of 1 workers.", text)
    losses = self._losses(text)
    self.assertLen(losses, _STEPS)
    self.assertAllClose(np.log(tiny.VOCAB_SIZE), losses[1], atol=0.1)
    self.assertLess(losses[_STEPS], losses[1])
    reader = tf.train.load_checkpoint(checkpoint_paths.find(self.train_dir))
    self.assertEqual(_STEPS, reader.get_tensor("global_step"))

  def test_wrong_cluster(self):
    cluster = {"worker": ["localhost:1", "localhost:1"]}
    task = {"type": "worker", "index": 2}
    config = json.dumps({"cluster": cluster, "task": task})
    with self.assertRaises(subprocess.CalledProcessError) as failed:
      subprocess.run(
          programs.command(
              "train", *self._arguments(1), "--distribution=multi_worker"
          ),
          env={**programs.environment(), "TF_CONFIG": config},
          capture_output=True,
          check=True,
          text=True,
      )
    self.assertIn("this task is worker 2", failed.exception.stderr)

  def test_one_run_at_a_time(self):
    with folder_lock.hold(self.train_dir):
      ran = programs.run("train", *self._arguments(1))
    self.assertEqual(1, ran.returncode)
    self.assertStartsWith(
        ran.stderr.splitlines()[-1],
        f"train: {self.train_dir} is being written by process {os.getpid()} on",
    )


if __name__ == "__main__":
  tf.test.main()
