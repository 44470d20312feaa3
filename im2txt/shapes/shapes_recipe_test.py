"""Tests of shapes_recipe; quickstart_test runs it."""

import functools
import json
import os
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from im2txt import configuration
from im2txt import presets
from im2txt.shapes import shapes_recipe


class ShapesRecipeTest(parameterized.TestCase):

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
    names = [stage.name for stage in self._recipe.stages()]
    self.assertLen(set(names), 9)

  @parameterized.parameters(("pretrain", "original"), ("train", "quickstart"))
  def test_configurations_are_valid(self, name, preset):
    (stage,) = [s for s in self._recipe.stages() if s.name == name]
    *_, overrides = stage.run.arguments
    overrides = overrides.removeprefix("--config_overrides=")
    model, training = configuration.replace(
        configuration.ModelConfig(),
        configuration.TrainingConfig(),
        presets.PRESETS[preset]() | configuration.parse_overrides(overrides),
    )
    self.assertEqual(model.image_height, 107)
    # The user's overrides come last.
    self.assertEqual((model.batch_size, training.seed), (7, 3))

  def test_caption(self):
    (stage,) = [s for s in self._recipe.stages() if s.name == "caption"]
    self.assertEqual(
        stage.run.output_file, pathlib.Path("/run/results/captions.jsonl")
    )
    self.assertIn(
        "--input_files=/run/scenes/val/held_out_*.jpg", stage.run.arguments
    )
    own = self._recipe.caption("my.jpg")
    self.assertIsNone(own.output_file)
    self.assertIn("--input_files=my.jpg", own.arguments)


_SETTINGS = {"seed": 1}


class RunTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = pathlib.Path(self.create_tempdir().full_path) / "run"
    self._ran = []

  def _run(self, *names, failing=None, settings=None):
    def run(name):
      self._ran.append(name)
      if name == failing:
        raise shapes_recipe.StageError("no paper")

    stages = [
        shapes_recipe.Stage(name, name.title(), functools.partial(run, name))
        for name in names
    ]
    return shapes_recipe.run(self._folder, settings or _SETTINGS, stages)

  def test_runs_each_stage_once(self):
    self._run("draw")
    self.assertEqual(list(self._run("draw", "build")), ["draw", "build"])
    self.assertEqual(self._ran, ["draw", "build"])

  def test_runs_a_failed_stage_again(self):
    with self.assertRaises(shapes_recipe.StageError):
      self._run("draw", "build", "train", failing="build")
    self._run("draw", "build", "train")
    self.assertEqual(self._ran, ["draw", "build", "build", "train"])

  def test_file(self):
    self._run("draw")
    content = json.loads((self._folder / "stages.json").read_text())
    self.assertEqual(content["settings"], _SETTINGS)
    self.assertSameElements(content["seconds"], ["draw"])

  def test_refuses_other_settings(self):
    self._run()
    with self.assertRaisesRegex(ValueError, "other settings: {'seed': 1}"):
      self._run(settings={"seed": 2})

  def test_refuses_a_folder_with_other_content(self):
    self._folder.mkdir()
    (self._folder / "thesis.txt").touch()
    with self.assertRaisesRegex(ValueError, "is not empty"):
      self._run()


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
  def test_text(self, environment, expected):
    command = shapes_recipe.Command("data.build_it", ["--a=1", "--b=x y"])
    with mock.patch.dict(os.environ, environment):
      if not environment:
        os.environ.pop("BUILD_WORKSPACE_DIRECTORY", None)
      self.assertEqual(str(command), expected)

  def test_main_modules_are_called_as_their_targets(self):
    command = shapes_recipe.Command("tensorboard_main", [])
    with mock.patch.dict(os.environ, {"BUILD_WORKSPACE_DIRECTORY": "/home"}):
      self.assertEqual(str(command), "bazel-bin/im2txt/tensorboard")

  def test_output_of_a_failed_program_is_not_kept(self):
    path = pathlib.Path(self.create_tempdir().full_path) / "output.txt"
    command = shapes_recipe.Command(
        "pretrain_encoder", ["--number_of_steps=0"], path
    )
    self.assertEndsWith(str(command), f"> {path}")
    with self.assertRaises(shapes_recipe.StageError):
      command()
    self.assertEqual(list(path.parent.iterdir()), [])

  def test_fails_as_the_program_does(self):
    command = shapes_recipe.Command("pretrain_encoder", ["--number_of_steps=0"])
    with self.assertRaisesRegex(shapes_recipe.StageError, "exit status 2"):
      command()


if __name__ == "__main__":
  absltest.main()
