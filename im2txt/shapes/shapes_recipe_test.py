"""Tests of shapes_recipe; quickstart_test runs it."""

import json
import os
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from im2txt import configuration
from im2txt import presets
from im2txt.shapes import shapes_recipe


class ShapesRecipeTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._recipe = shapes_recipe.Recipe(
        folder=pathlib.Path("/run"),
        encoder_steps=4,
        decoder_steps=5,
        fine_tuning_steps=6,
        config_overrides="batch_size=7,seed=3",
    )

  def test_settings_are_what_the_results_depend_on(self):
    self.assertEqual(
        self._recipe.settings(),
        {
            "num_scenes": 3000,
            "seed": 1,
            "encoder_steps": 4,
            "decoder_steps": 5,
            "fine_tuning_steps": 6,
            "config_overrides": "batch_size=7,seed=3",
        },
    )

  def test_stages_have_different_names(self):
    names = [stage.name for stage in self._recipe.all_stages()]
    self.assertLen(set(names), 9)

  def test_configurations_can_be_used(self):
    for stage in self._recipe.all_stages():
      # Bound methods of commands; the others are the recipe's own.
      command = getattr(stage.run, "__self__", None)
      overrides = getattr(command, "flags", {}).get("config_overrides")
      if overrides is None or command.flags.get("train_inception"):
        continue
      preset = command.flags.get("preset", "original")
      model, training = configuration.replace(
          configuration.ModelConfig(),
          configuration.TrainingConfig(),
          {
              **presets.PRESETS[preset](),
              **configuration.parse_overrides(overrides),
          },
      )
      self.assertEqual(model.image_height, 107)
      # The user's come last.
      self.assertEqual((model.batch_size, training.seed), (7, 3))

  def test_caption(self):
    held_out = self._recipe.caption()
    self.assertEqual(
        held_out.output_file, pathlib.Path("/run/results/captions.jsonl")
    )
    self.assertEqual(
        str(held_out.flags["input_files"]), "/run/scenes/val/held_out_*.jpg"
    )
    own = self._recipe.caption("my.jpg")
    self.assertIsNone(own.output_file)
    self.assertEqual(own.flags["input_files"], "my.jpg")


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

    return shapes_recipe.Stage(name, name.title(), run)

  def test_runs_each_stage_once(self):
    journal = shapes_recipe.Journal(self._folder, _SETTINGS)
    self.assertTrue(journal.run(self._stage("draw")))
    self.assertFalse(journal.run(self._stage("draw")))
    journal = shapes_recipe.Journal(self._folder, _SETTINGS)
    self.assertFalse(journal.run(self._stage("draw")))
    self.assertTrue(journal.run(self._stage("build")))
    self.assertEqual(self._ran, ["draw", "build"])
    self.assertEqual(list(journal.seconds), ["draw", "build"])

  def test_runs_a_failed_stage_again(self):
    journal = shapes_recipe.Journal(self._folder, _SETTINGS)
    with self.assertRaises(shapes_recipe.StageError):
      journal.run(self._stage("draw", shapes_recipe.StageError("no paper")))
    journal = shapes_recipe.Journal(self._folder, _SETTINGS)
    self.assertTrue(journal.run(self._stage("draw")))
    self.assertEqual(self._ran, ["draw", "draw"])

  def test_file(self):
    shapes_recipe.Journal(self._folder, _SETTINGS).run(self._stage("draw"))
    content = json.loads((self._folder / "stages.json").read_text())
    self.assertEqual(content["settings"], _SETTINGS)
    self.assertSameElements(content["seconds"], ["draw"])

  def test_refuses_other_settings(self):
    shapes_recipe.Journal(self._folder, _SETTINGS)
    with self.assertRaisesRegex(ValueError, "other settings: {'seed': 1}"):
      shapes_recipe.Journal(self._folder, {"seed": 2})

  def test_refuses_a_folder_of_other_things(self):
    self._folder.mkdir()
    (self._folder / "thesis.txt").touch()
    with self.assertRaisesRegex(ValueError, "holds other things already"):
      shapes_recipe.Journal(self._folder, _SETTINGS)


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
    command = shapes_recipe.Command("data.build_it", {"a": 1, "b": "x y"})
    with mock.patch.dict(os.environ, environment):
      if not environment:
        os.environ.pop("BUILD_WORKSPACE_DIRECTORY", None)
      self.assertEqual(command.shown(), expected)

  def test_main_modules_are_called_as_their_targets(self):
    command = shapes_recipe.Command("tensorboard_main", {})
    with mock.patch.dict(os.environ, {"BUILD_WORKSPACE_DIRECTORY": "/home"}):
      self.assertEqual(command.shown(), "bazel-bin/im2txt/tensorboard")

  def test_output_of_a_failed_program_is_not_kept(self):
    path = pathlib.Path(self.create_tempdir().full_path) / "output.txt"
    command = shapes_recipe.Command(
        "pretrain_encoder", {"number_of_steps": 0}, path
    )
    self.assertEndsWith(command.shown(), f"> {path}")
    with self.assertRaises(shapes_recipe.StageError):
      command.run()
    self.assertEqual(list(path.parent.iterdir()), [])

  def test_fails_as_the_program_does(self):
    command = shapes_recipe.Command("pretrain_encoder", {"number_of_steps": 0})
    with self.assertRaisesRegex(shapes_recipe.StageError, "exit status 2"):
      command.run()


if __name__ == "__main__":
  absltest.main()
