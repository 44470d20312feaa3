"""Tests of training on two devices, which are halves of a processor."""

import dataclasses
import functools
import os
import re
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.data import caption_data
from im2txt.distributed import clusters
from im2txt.distributed import distribution
from im2txt.runtime import stop_signals
from im2txt.testing import made_up_features
from im2txt.testing import shallow_inception
from im2txt.testing import tiny
from im2txt.training import trainers
from im2txt.training import training_loop

# Without dropout, which is another on each replica.
_CONFIG = dataclasses.replace(tiny.CONFIG, lstm_dropout_keep_prob=1.0)


def setUpModule():
  cpus = tf.config.list_physical_devices("CPU")
  tf.config.set_logical_device_configuration(
      cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
  )


@functools.cache  # Two strategies of a process would mix up their messages.
def _distribution(kind):
  return distribution.Distribution(kind)


class MirroredTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.enter_context(made_up_features.accepted())
    self.data = made_up_features.write(self.dir, 6, config=_CONFIG)

  def _run(self, kind, steps, name, **training_fields):
    """Trains up to a step; returns the losses."""
    train_dir = os.path.join(self.dir, name)
    loop = training_loop.TrainingLoop(
        model_config=_CONFIG,
        training_config=configuration.TrainingConfig(
            optimizer="adam", initial_learning_rate=0.02, **training_fields
        ),
        train_dir=train_dir,
        checkpoint=checkpoints.find_readable(train_dir),
        distribution=_distribution(kind),
    )
    with self.assertLogs("absl", "INFO") as logs:
      loop.run(self.data, number_of_steps=steps)
    pattern = r"global step \d+: loss = ([\d.]+)"
    return [float(x) for x in re.findall(pattern, "\n".join(logs.output))]

  def test_losses_and_checkpoints_are_those_of_one_device(self):
    expected = self._run("off", 20, "off")
    actual = self._run("mirrored", 20, "mirrored")
    self.assertLen(expected, 20)
    # The log has four places.
    self.assertAllClose(expected, actual, rtol=0, atol=1.01e-4)
    values = [
        tf.train.load_checkpoint(
            checkpoint_paths.find(os.path.join(self.dir, name))
        )
        for name in ("off", "mirrored")
    ]
    names, mirrored_names = (v.get_variable_to_shape_map() for v in values)
    self.assertEqual(names, mirrored_names)
    for name in names:
      self.assertAllClose(*(v.get_tensor(name) for v in values), 1e-3, 1e-3)

  def test_resumes_with_another_number_of_devices(self):
    expected = self._run("off", 6, "whole")
    actual = self._run("mirrored", 3, "parts") + self._run("off", 6, "parts")
    self.assertAllClose(expected, actual, rtol=0, atol=1.01e-4)

  def test_uneven_batch(self):
    with self.assertRaisesRegex(ValueError, "all 2 replicas .* multiple of 2"):
      distribution.check_batch_size(3, _distribution("mirrored"))


class AveragingTest(tf.test.TestCase):

  def test_batch_normalization_of_two_devices(self):
    shallow_inception.set_up(self)
    folder = self.create_tempdir().full_path
    data = caption_data.CaptionData(
        files=[tiny.write_pairs(folder, "train-00000-of-00001", 6)],
        config=_CONFIG,
    )
    loop = training_loop.TrainingLoop(
        model_config=_CONFIG,
        training_config=configuration.TrainingConfig(),
        train_dir=os.path.join(folder, "train"),
        options=trainers.StepOptions(train_inception=True),
        distribution=_distribution("mirrored"),
    )
    name = "InceptionV3/Conv2d_1a_3x3/BatchNorm/moving_mean"
    loop.run(data, number_of_steps=0)  # The checkpoint of the beginning.
    average = loop.trainer.model.encoder.variables_by_name[name]
    seen = []

    def averaged():
      seen.append([component.numpy() for component in average.values])
      original()

    original = loop._average
    with mock.patch.object(loop, "_average", averaged):
      loop.run(data, number_of_steps=1)
    (own,) = seen
    self.assertNotAllClose(own[0], own[1], 1e-9, 1e-9)
    reader = tf.train.load_checkpoint(checkpoint_paths.find(folder + "/train"))
    self.assertAllClose(np.mean(own, axis=0), reader.get_tensor(name), 1e-6)
    for component in average.values:
      self.assertAllEqual(reader.get_tensor(name), component.numpy())


class DistributionTest(parameterized.TestCase, tf.test.TestCase):

  def test_flags_of_one_process(self):
    request = stop_signals.StopRequest()
    ours = distribution.Distribution()
    self.assertEqual([True, False], ours.any_process(request, True, False))
    self.assertIsNone(request.signal)
    self.assertTrue(ours.is_chief)

  @parameterized.named_parameters(
      ("no_kind", "tpu", None, "must be one of off, .* Got: 'tpu'"),
      ("no_cluster", "multi_worker", None, "multi_worker needs a cluster"),
      ("ps", "multi_worker", ["worker", "ps"], "for multi_worker .* Got: ps"),
      ("no_ps", "parameter_server", ["worker"], "type chief, ps, worker. Got"),
  )
  def test_wrong_cluster(self, kind, task_types, message):
    cluster = task_types and clusters.Cluster(
        addresses={task_type: ["localhost:1"] for task_type in task_types},
        task_type=task_types[0],
        task_index=0,
    )
    with self.assertRaisesRegex(ValueError, message):
      distribution.Distribution(kind, cluster=cluster)


if __name__ == "__main__":
  tf.test.main()
