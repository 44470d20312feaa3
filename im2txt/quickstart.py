r"""Shows all of im2txt at work in minutes, without a data set.

    ./bazelw run //im2txt:quickstart

Draws a small world of coloured shapes, trains a small model on it, and lets it
describe scenes with pairs of objects that it never saw together, by the very
programs that MSCOCO goes through. Each command is shown before it runs. At the
end there is a page to open in a browser, logs for TensorBoard, and the share of
the held-out scenes that are described right to the word.

When it is interrupted, the same command resumes at the stage it was in. What
is finished already is not done again; --start_anew deletes it.
"""

import os
import pathlib
import shutil

from absl import flags

from im2txt.runtime import program
from im2txt.shapes import shapes_recipe

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    "~/im2txt_quickstart",
    "Folder to write everything to, 100 MB in all.",
)
_SCENES = flags.DEFINE_integer(
    "scenes",
    shapes_recipe.Recipe.num_scenes,
    "How many scenes to draw.",
    lower_bound=120,
)
_SEED = flags.DEFINE_integer(
    "seed",
    shapes_recipe.Recipe.seed,
    "Of the scenes and of all training.",
    lower_bound=0,
)
_ENCODER_STEPS = flags.DEFINE_integer(
    "encoder_steps",
    shapes_recipe.Recipe.encoder_steps,
    "Steps to train the encoder.",
    lower_bound=1,
)
_DECODER_STEPS = flags.DEFINE_integer(
    "decoder_steps",
    shapes_recipe.Recipe.decoder_steps,
    "Steps of phase 1.",
    lower_bound=1,
)
_FINE_TUNING_STEPS = flags.DEFINE_integer(
    "fine_tuning_steps",
    shapes_recipe.Recipe.fine_tuning_steps,
    "Steps of phase 2, after those.",
    lower_bound=1,
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Further changes to the configuration of encoder and model, such as"
    " batch_size=16.",
)
_START_ANEW = flags.DEFINE_boolean(
    "start_anew", False, "Whether to delete what an earlier run wrote."
)


def main(argv: list[str]) -> None:
  """Runs all stages that are not finished yet, and shows the results."""
  del argv
  program.exit_on_sigterm()
  recipe = shapes_recipe.Recipe(
      folder=_output_dir(),
      num_scenes=_SCENES.value,
      seed=_SEED.value,
      encoder_steps=_ENCODER_STEPS.value,
      decoder_steps=_DECODER_STEPS.value,
      fine_tuning_steps=_FINE_TUNING_STEPS.value,
      config_overrides=_CONFIG_OVERRIDES.value,
  )
  if _START_ANEW.value:
    _delete_earlier_run(recipe.folder)
  journal = shapes_recipe.Journal(recipe.folder, recipe.settings())
  (recipe.folder / "results").mkdir(exist_ok=True)
  all_stages = recipe.all_stages()
  print(f"Everything is written to {recipe.folder}.")
  for number, stage in enumerate(all_stages, 1):
    print(f"\n[{number}/{len(all_stages)}] {stage.title}", flush=True)
    if not journal.run(stage):
      print("  was finished before.")
  _show_results(recipe, sum(journal.seconds.values()))


def _output_dir() -> pathlib.Path:
  """Returns the flag's folder, relative to where `bazel run` was called."""
  start = os.environ.get("BUILD_WORKING_DIRECTORY", "")
  return pathlib.Path(start, _OUTPUT_DIR.value).absolute()


def _delete_earlier_run(folder: pathlib.Path) -> None:
  """Deletes the folder, if a quickstart wrote it."""
  if (folder / shapes_recipe.FILE_NAME).exists():
    shutil.rmtree(folder)


def _show_results(recipe: shapes_recipe.Recipe, seconds: float) -> None:
  figures = recipe.results().figures()
  figures["time"] = f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
  width = max(map(len, figures))
  print("\nScenes with pairs of objects never seen together in training:\n")
  for name, value in figures.items():
    print(f"  {name.ljust(width)}  {value}")
  tensorboard = shapes_recipe.Command(
      "tensorboard_main", {"logdir": recipe.model_dir}
  )
  caption = recipe.caption("/path/to/your/picture.jpg")
  print(f"""
Pictures with their captions, to open in a browser:

  {recipe.folder / "report" / "index.html"}

What training logged, in TensorBoard:

  {tensorboard.shown()}

What next? Let the model describe a picture of your own. All it knows is this
world of shapes, and it will say so:

  {caption.shown()}

For a model of photographs, get MSCOCO and train on it as README.md tells:

  {_MSCOCO}
""")


_MSCOCO = r"""MSCOCO_DIR="${HOME}/im2txt/data/mscoco"
  ./bazelw build -c opt //im2txt/...
  bazel-bin/im2txt/download_and_preprocess_mscoco "${MSCOCO_DIR}"
  bazel-bin/im2txt/train \
    --input_file_pattern="${MSCOCO_DIR}/train-?????-of-00256" \
    --inception_checkpoint_file="${INCEPTION_DIR}/inception_v3.ckpt" \
    --train_dir="${HOME}/im2txt/model/train" """


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
