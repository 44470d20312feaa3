"""Tests of stages."""

import json
import os
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.shapes import stages

_SETTINGS = {"seed": 1}


class JournalTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = pathlib.Path(self.create_tempdir().full_path) / "run"
    self._ran = []

  def _stage(self, name, error=None):
    def run():
      self._ran.append(name)
      if error:
        raise error

    return stages.Stage(name, name.title(), run)

  def test_runs_each_stage_once(self):
    journal = stages.Journal(self._folder, _SETTINGS)
    self.assertTrue(journal.run(self._stage("draw")))
    self.assertFalse(journal.run(self._stage("draw")))
    journal = stages.Journal(self._folder, _SETTINGS)
    self.assertFalse(journal.run(self._stage("draw")))
    self.assertTrue(journal.run(self._stage("build")))
    self.assertEqual(self._ran, ["draw", "build"])
    self.assertEqual(list(journal.seconds), ["draw", "build"])

  def test_runs_a_failed_stage_again(self):
    journal = stages.Journal(self._folder, _SETTINGS)
    with self.assertRaises(stages.StageError):
      journal.run(self._stage("draw", stages.StageError("no paper")))
    journal = stages.Journal(self._folder, _SETTINGS)
    self.assertTrue(journal.run(self._stage("draw")))
    self.assertEqual(self._ran, ["draw", "draw"])

  def test_file(self):
    stages.Journal(self._folder, _SETTINGS).run(self._stage("draw"))
    content = json.loads((self._folder / "stages.json").read_text())
    self.assertEqual(content["settings"], _SETTINGS)
    self.assertSameElements(content["seconds"], ["draw"])

  def test_refuses_other_settings(self):
    stages.Journal(self._folder, _SETTINGS)
    with self.assertRaisesRegex(ValueError, "other settings: {'seed': 1}"):
      stages.Journal(self._folder, {"seed": 2})

  def test_refuses_a_folder_of_other_things(self):
    self._folder.mkdir()
    (self._folder / "thesis.txt").touch()
    with self.assertRaisesRegex(ValueError, "holds other things already"):
      stages.Journal(self._folder, _SETTINGS)


class CommandTest(parameterized.TestCase):

  @parameterized.named_parameters(
      (
          "module",
          {},
          "python3 -m im2txt.data.build_it \\\n    --a=1 \\\n    '--b=x y'",
      ),
      (
          "bazel",
          {"BUILD_WORKSPACE_DIRECTORY": "/home"},
          "bazel-bin/im2txt/build_it \\\n    --a=1 \\\n    '--b=x y'",
      ),
  )
  def test_shown(self, environment, expected):
    command = stages.Command("data.build_it", {"a": 1, "b": "x y"})
    with mock.patch.dict(os.environ, environment):
      if not environment:
        os.environ.pop("BUILD_WORKSPACE_DIRECTORY", None)
      self.assertEqual(command.shown(), expected)

  def test_main_modules_are_called_as_their_targets(self):
    command = stages.Command("tensorboard_main", {})
    with mock.patch.dict(os.environ, {"BUILD_WORKSPACE_DIRECTORY": "/home"}):
      self.assertEqual(command.shown(), "bazel-bin/im2txt/tensorboard")

  def test_output_of_a_failed_program_is_not_kept(self):
    path = pathlib.Path(self.create_tempdir().full_path) / "output.txt"
    command = stages.Command("pretrain_encoder", {"number_of_steps": 0}, path)
    self.assertEndsWith(command.shown(), f"> {path}")
    with self.assertRaises(stages.StageError):
      command.run()
    self.assertEqual(list(path.parent.iterdir()), [])

  def test_fails_as_the_program_does(self):
    command = stages.Command("pretrain_encoder", {"number_of_steps": 0})
    with self.assertRaisesRegex(stages.StageError, "exit status 2"):
      command.run()


if __name__ == "__main__":
  absltest.main()
