"""Tests of the steps of a run, with a fake trainer and fake workers."""

import dataclasses
import threading
import types
from typing import Any
from unittest import mock

import tensorflow as tf

from im2txt.data import caption_data
from im2txt.distributed import distribution
from im2txt.testing import tiny
from im2txt.training import training_steps

_ERROR = tf.errors.InvalidArgumentError(None, None, "at fault")


class FakeTrainer:
  """A trainer whose steps return the sum of the features of a batch.

  Attributes:
    global_step: The global step to resume from.
    model: A stand-in with the attributes that steps read.
    error: The error that a step raises, if any.
  """

  def __init__(self, global_step: int = 0) -> None:
    self.global_step = global_step
    encoder = types.SimpleNamespace(feature_size=tiny.FEATURE_SIZE)
    self.model = types.SimpleNamespace(encoder=encoder)
    self.error: Exception | None = None

  def step_function(self, batch_spec):
    """See `trainers.Trainer`."""
    del batch_spec

    def step(batch):
      if self.error:
        raise self.error
      return float(tf.reduce_sum(batch.images))

    return step


class FakeCoordinator:
  """A coordinator that runs a step when its result is fetched.

  Attributes:
    go: An event; workers are busy until it is set.
    scheduled: Number of scheduled steps.
  """

  def __init__(self):
    self.go = threading.Event()
    self.go.set()
    self.scheduled = 0

  def __call__(self, strategy):
    """Returns itself, in place of a new coordinator."""
    del strategy
    return self

  def schedule(self, function, args):
    """See `tf.distribute.coordinator.ClusterCoordinator`."""
    self.scheduled += 1

    def fetch() -> Any:
      self.go.wait(timeout=60)
      return function(*args)

    return types.SimpleNamespace(fetch=fetch)


def setUpModule():
  cpus = tf.config.list_physical_devices("CPU")
  tf.config.set_logical_device_configuration(
      cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
  )


class TrainingStepsTestCase(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    file = tiny.write_features(self.create_tempdir().full_path, "features", 6)
    self.data = caption_data.CaptionData(
        files=[file], config=tiny.CONFIG, are_features=True
    )
    self.distribution = distribution.Distribution()

  def make(self, trainer):
    return training_steps.make_steps(
        trainer, self.data, distribution=self.distribution, seed=5
    )

  def batches(self, start_step=0):
    dataset = self.data.training_batches(
        seed=5, start_step=start_step, feature_size=tiny.FEATURE_SIZE
    )
    return dataset.as_numpy_iterator()

  def assert_steps(self, steps, start_step, remaining):
    """Checks that steps use the batches of a run in order."""
    expected = self.batches(start_step)
    for left in range(remaining, 0, -1):
      batch, metrics = steps.run(left)
      wanted = next(expected)
      self.assertAllEqual(wanted.images, batch.images)
      self.assertAllEqual(wanted.input_seqs, batch.input_seqs)
      self.assertNear(wanted.images.sum(), metrics, 1e-3)


class SynchronousStepsTest(TrainingStepsTestCase):

  def test_go_on_from_the_global_step(self):
    for start in (0, 2):
      steps = self.make(FakeTrainer(start))
      self.assertIsInstance(steps, training_steps.SynchronousSteps)
      self.assert_steps(steps, start, remaining=4)

  def test_word_beyond_the_vocabulary(self):
    config = dataclasses.replace(tiny.CONFIG, vocab_size=5)
    self.data = dataclasses.replace(self.data, config=config)
    trainer = FakeTrainer()
    steps = self.make(trainer)
    trainer.error = _ERROR
    with self.assertRaisesRegex(ValueError, "word id 9, but .* of 5"):
      steps.run(1)

  def test_fault_of_no_word(self):
    trainer = FakeTrainer()
    steps = self.make(trainer)
    trainer.error = _ERROR
    with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "at fault"):
      steps.run(1)

  def test_corrupt_record(self):
    path = self.data.files[0]
    steps = self.make(FakeTrainer())
    with open(path, "r+b") as file:
      file.seek(-40, 2)
      file.write(b"rubbish")
    with self.assertRaisesRegex(ValueError, f"Record 5 of {path}"):
      for _ in range(9):
        steps.run(1)

  def test_end_of_the_input(self):
    empty = tf.data.Dataset.from_generator(
        lambda: iter(()), output_signature=tf.TensorSpec([])
    )
    with mock.patch.object(
        caption_data.CaptionData, "training_batches", return_value=empty
    ):
      steps = self.make(FakeTrainer())
    with self.assertRaisesRegex(ValueError, "holds no caption"):
      steps.run(1)


class DeviceTest(SynchronousStepsTest):
  """Tests of the same steps with batches copied to a device in advance."""

  def setUp(self):
    super().setUp()
    self.enter_context(
        mock.patch.object(
            tf.config,
            "list_logical_devices",
            return_value=tf.config.list_logical_devices("CPU")[1:],
        )
    )

  def test_batches_are_on_the_device(self):
    batch, _ = self.make(FakeTrainer()).run(1)
    for tensor in tf.nest.flatten(batch):
      self.assertEndsWith(tensor.device, "CPU:1")


class AsynchronousStepsTest(TrainingStepsTestCase):

  def setUp(self):
    super().setUp()
    self.coordinator = FakeCoordinator()
    self.enter_context(
        mock.patch.object(
            tf.distribute.coordinator, "ClusterCoordinator", self.coordinator
        )
    )
    self.distribution.kind = "parameter_server"
    self.distribution.num_workers = 3

  def test_results_come_with_their_batches(self):
    steps = self.make(FakeTrainer(1))
    self.assertIsInstance(steps, training_steps.AsynchronousSteps)
    self.assert_steps(steps, 1, remaining=5)
    # No step more than was asked for.
    self.assertEqual(5, self.coordinator.scheduled)

  def test_a_step_for_each_worker_is_under_way(self):
    steps = self.make(FakeTrainer())
    steps.run(9)
    self.assertEqual(3, self.coordinator.scheduled)
    steps.run(8)
    self.assertEqual(4, self.coordinator.scheduled)

  def test_waits_for_pending_steps(self):
    trainer = FakeTrainer()
    steps = self.make(trainer)
    steps.run(9)
    steps.wait_for_pending_steps()
    # The two under way are done, so no worker is needed for them any more.
    self.coordinator.go.clear()
    self.distribution.timeout_secs = 0.1
    steps.run(2)
    steps.run(1)
    steps.wait_for_pending_steps()  # With none under way.

  def test_lost_worker(self):
    self.distribution.timeout_secs = 0.1
    self.coordinator.go.clear()
    steps = self.make(FakeTrainer())
    with self.assertRaisesRegex(
        tf.errors.DeadlineExceededError, "finished a step within 0.1 s"
    ):
      steps.run(1)
    self.coordinator.go.set()

  def test_errors_of_workers(self):
    for error, kind, message in (
        (_ERROR, ValueError, "word id 9, but .* of 5"),
        (
            tf.errors.UnavailableError(None, None, "gone"),
            tf.errors.UnavailableError,
            "gone",
        ),
    ):
      config = dataclasses.replace(tiny.CONFIG, vocab_size=5)
      self.data = dataclasses.replace(self.data, config=config)
      trainer = FakeTrainer()
      steps = self.make(trainer)
      trainer.error = error
      with self.assertRaisesRegex(kind, message):
        steps.run(1)


if __name__ == "__main__":
  tf.test.main()
