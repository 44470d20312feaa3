"""Tests of runs of two phases, with a small encoder and few steps."""

import os
import signal

import tensorflow as tf

from im2txt import configuration
from im2txt.input_data import caption_data
from im2txt.runtime import stop_signals
from im2txt.testing import shallow_inception
from im2txt.testing import tiny
from im2txt.training import step_options
from im2txt.training import training_loop
from im2txt.training import training_phases

_KERNEL = f"{shallow_inception.LAYER}/weights"
_TRAINING = configuration.TrainingConfig(
    optimizer="momentum",
    initial_learning_rate=0.1,
    train_inception_learning_rate=0.2,
    max_checkpoints_to_keep=10,
    save_summaries_secs=1e9,
)


class TrainingPhasesTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    shallow_inception.set_up(self)
    self.dir = self.create_tempdir().full_path
    self.data = caption_data.CaptionData(
        files=[tiny.write_pairs(self.dir, "train-00000-of-00001", 5)],
        config=tiny.CONFIG,
    )

  def _run(self, train_dir, first, last):
    made = []

    def make_loop(train_inception):
      made.append(train_inception)
      return training_loop.TrainingLoop(
          model_config=tiny.CONFIG,
          training_config=_TRAINING,
          train_dir=train_dir,
          options=step_options.StepOptions(train_inception=train_inception),
      )

    phases = [
        training_phases.Phase(first, False, self.data),
        training_phases.Phase(last, True, self.data),
    ]
    training_phases.run(phases, make_loop, train_dir=train_dir)
    return made

  def _values(self, train_dir, step):
    path = os.path.join(train_dir, f"model.ckpt-{step}")
    reader = tf.train.load_checkpoint(path)
    names = reader.get_variable_to_shape_map()
    return {name: reader.get_tensor(name) for name in names}

  def test_whole_equals_resumed_in_either_phase(self):
    whole = os.path.join(self.dir, "whole")
    self.assertEqual([False, True], self._run(whole, 2, 4))
    start, first, last = (self._values(whole, step) for step in (0, 2, 4))
    # The first phase leaves the encoder alone, and has no slots for it.
    self.assertAllEqual(start[_KERNEL], first[_KERNEL])
    self.assertNotIn(f"{_KERNEL}/Momentum", first)
    self.assertNotAllClose(first[_KERNEL], last[_KERNEL])
    self.assertEqual(4, last["global_step"])

    parts = os.path.join(self.dir, "parts")
    one = training_phases.Phase(1, False, self.data)
    loop = training_loop.TrainingLoop(
        model_config=tiny.CONFIG,
        training_config=_TRAINING,
        train_dir=parts,
    )
    training_phases.run([one], lambda _: loop, train_dir=parts)
    self.assertEqual([False, True], self._run(parts, 2, 3))
    self.assertEqual([True], self._run(parts, 2, 4))
    actual = self._values(parts, 4)
    self.assertEqual(last.keys(), actual.keys())
    for name, value in last.items():
      self.assertAllClose(value, actual[name], 1e-5, 1e-6, msg=name)


class FakeLoop:
  """Counts steps and stops early if it is told to."""

  def __init__(self, log, step, *, stop_at=None, number=None):
    self.trainer = self
    self.global_step = step
    self._log, self._stop_at, self._number = log, stop_at, number

  def run(self, data, *, number_of_steps, log_every_n_steps):
    self._log.append((data, number_of_steps, log_every_n_steps))
    self.global_step = self._stop_at or number_of_steps
    request = stop_signals.StopRequest()
    request.signal = self._number
    return request


class StopTest(tf.test.TestCase):

  def _run(self, **stop):
    log = []
    request = training_phases.run(
        [
            training_phases.Phase(10, False, "features"),
            training_phases.Phase(20, True, "images"),
        ],
        lambda train_inception: FakeLoop(log, 10 * train_inception, **stop),
        train_dir=self.create_tempdir().full_path,
        log_every_n_steps=3,
    )
    return log, request

  def test_both(self):
    log, request = self._run()
    self.assertEqual([("features", 10, 3), ("images", 20, 3)], log)
    self.assertEqual(0, request.exit_status)

  def test_evaluation_stops_the_first(self):
    log, _ = self._run(stop_at=7)
    self.assertEqual([("features", 10, 3)], log)

  def test_signal_in_the_last_step_of_the_first(self):
    log, request = self._run(number=signal.SIGTERM)
    self.assertLen(log, 1)
    self.assertEqual(143, request.exit_status)


if __name__ == "__main__":
  tf.test.main()
