"""Fault tests of `train`: kills, a full disk, corrupt files, clock jumps."""

import os
import tempfile
import time
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from im2txt import configuration
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import saved_config
from im2txt.testing import faults
from im2txt.testing import made_up_features
from im2txt.testing import tiny

_STEPS = 12
_KILLS = 20
_DATA = ".data-00000-of-00001"


def _make_input(folder):
  tiny.write_features(folder, "features-00000-of-00001", 6)


def _configure(train_dir):
  training = configuration.TrainingConfig(
      optimizer="adam", save_checkpoint_secs=0.0, save_summaries_secs=1e9
  )
  os.makedirs(train_dir)
  saved_config.save(train_dir, tiny.CONFIG, training)


def _values(checkpoint):
  reader = checkpoints.Reader(checkpoint)
  return {name: reader.value(name).tolist() for name in reader.shapes}


def _step(checkpoint):
  return int(checkpoint.rpartition("-")[2])


def _check_files(train_dir):
  """Checks that all complete files can be read; returns the newest step."""
  saved_config.load(train_dir)
  for name in os.listdir(train_dir):
    checkpoint, suffix = os.path.splitext(os.path.join(train_dir, name))
    if suffix == ".index":
      values = _values(checkpoint)
      assert values["global_step"] == _step(checkpoint), name
  newest = checkpoint_paths.find_latest(train_dir)
  return _step(newest) if newest else -1


class TrainFaultsTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.dir = tempfile.mkdtemp(dir=absltest.TEST_TMPDIR.value)
    faults.call(_make_input, cls.dir)
    cls.enterClassContext(made_up_features.accepted())
    cls.whole = os.path.join(cls.dir, "whole")
    _configure(cls.whole)
    ended = faults.run("train", *cls._arguments(cls.whole))
    assert ended.status == 0, ended.output

  @classmethod
  def _arguments(cls, train_dir, steps=_STEPS):
    return (
        f"--input_feature_pattern={cls.dir}/features-*",
        f"--train_dir={train_dir}",
        f"--number_of_steps={steps}",
    )

  def setUp(self):
    super().setUp()
    self.train_dir = os.path.join(self.create_tempdir().full_path, "train")
    _configure(self.train_dir)

  def _run(self, steps, **conditions):
    return faults.run(
        "train", *self._arguments(self.train_dir, steps), **conditions
    )

  def _path(self, name):
    return os.path.join(self.train_dir, name)

  def _assert_equals_the_undisturbed_run(self):
    self.assertEqual(
        _values(os.path.join(self.whole, f"model.ckpt-{_STEPS}")),
        _values(checkpoint_paths.find_latest(self.train_dir)),
    )

  def test_killed_at_any_moment(self):
    newest = -1

    def on_kill():
      nonlocal newest
      step = _check_files(self.train_dir)
      self.assertGreaterEqual(step, newest, "A step was lost.")
      newest = step

    def on_end():
      nonlocal newest
      on_kill()
      self._assert_equals_the_undisturbed_run()
      self.train_dir, newest = f"{self.train_dir}_again", -1
      _configure(self.train_dir)

    faults.kill_often(
        lambda: faults.start("train", *self._arguments(self.train_dir)),
        on_kill=on_kill,
        on_end=on_end,
        kills=_KILLS,
        seed=1,
    )

  def test_disk_full(self):
    self.assertEqual(0, self._run(3).status)
    # Enough room for all other files, but not for a checkpoint.
    ended = self._run(_STEPS, file_size=9000)
    self.assertEqual(1, ended.status)
    self.assertRegex(
        ended.output.splitlines()[-1],
        rf"^train: The checkpoint {self._path('model.ckpt-4')} can't be"
        " written: File too large. The earlier ones are whole; make room, and"
        " start again.$",
    )
    self.assertEqual(3, _check_files(self.train_dir))
    names = os.listdir(self.train_dir)
    self.assertEmpty([name for name in names if "model.ckpt-4" in name])
    self.assertEqual(0, self._run(_STEPS).status)
    self._assert_equals_the_undisturbed_run()

  def test_disk_too_full_for_the_configuration(self):
    ended = self._run(3, file_size=100)
    self.assertEqual(1, ended.status)
    self.assertIn(f"{self._path('config.json')}", ended.output.splitlines()[-1])
    self.assertIn("File too large", ended.output.splitlines()[-1])
    saved_config.load(self.train_dir)

  def test_a_file_in_place_of_the_folder(self):
    path = self.create_tempfile().full_path
    for train_dir in (path, os.path.join(path, "train")):
      ended = faults.run("train", *self._arguments(train_dir))
      self.assertEqual(1, ended.status)
      self.assertRegex(ended.output.splitlines()[-1], f"^train: .*{path}")
      self.assertNotIn("Traceback", ended.output)

  @parameterized.parameters(".index", _DATA)
  def test_resumes_from_an_earlier_checkpoint(self, suffix):
    self.assertEqual(0, self._run(4).status)
    os.truncate(self._path(f"model.ckpt-4{suffix}"), 0)
    ended = self._run(_STEPS)
    self.assertEqual(0, ended.status)
    self.assertIn("WARNING:tensorflow:Skipping a damaged", ended.output)
    self.assertIn(f"{self._path('model.ckpt-3')}\n", ended.output)
    self._assert_equals_the_undisturbed_run()

  def test_never_restarts_from_step_0_by_itself(self):
    self.assertEqual(0, self._run(1).status)
    for step in (0, 1):
      os.truncate(self._path(f"model.ckpt-{step}{_DATA}"), 0)
    before = sorted(os.listdir(self.train_dir))
    ended = self._run(2)
    self.assertEqual(1, ended.status)
    self.assertIn("are damaged, such as", ended.output.splitlines()[-1])
    for step in (0, 1):
      os.remove(self._path(f"model.ckpt-{step}.index"))
    ended = self._run(2)
    self.assertEqual(1, ended.status)
    self.assertIn("model.ckpt-1.index missing", ended.output.splitlines()[-1])
    self.assertContainsSubset(os.listdir(self.train_dir), before)

  def test_clock_that_jumps(self):
    real = time.time
    for steps, jump in ((2, -1e7), (4, 2e7), (_STEPS, -2e7)):
      with mock.patch.object(time, "time", lambda jump=jump: real() + jump):
        self.assertEqual(0, self._run(steps).status)
      # The file system's clock may differ, too.
      for name in os.listdir(self.train_dir):
        os.utime(self._path(name), (steps, 1e9 - steps))
    self.assertEqual(
        _STEPS, _step(checkpoint_paths.find_latest(self.train_dir))
    )
    self._assert_equals_the_undisturbed_run()

  def test_no_room_for_temporary_files(self):
    ended = self._run(_STEPS, has_temporary_folder=False)
    self.assertEqual(0, ended.status, ended.output)
    self._assert_equals_the_undisturbed_run()


if __name__ == "__main__":
  absltest.main()
