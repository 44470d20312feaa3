"""Tests of shapes_recipe; quickstart_test runs it."""

import pathlib

from absl.testing import absltest

from im2txt import configuration
from im2txt.config import presets
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
      model, training = configuration.apply_overrides(
          configuration.ModelConfig(),
          configuration.TrainingConfig(),
          f"{presets.overrides(preset)},{overrides}",
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


if __name__ == "__main__":
  absltest.main()
