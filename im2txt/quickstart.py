r"""Runs all of im2txt in minutes, without a data set.

    ./bazelw run //im2txt:quickstart

Draws scenes of coloured shapes, trains a small model on them, and captions
held-out scenes, with pairs of objects that are never together in a training
scene. It runs the same programs as for MSCOCO, and prints each command first.
The results are an HTML page, logs for TensorBoard, and the share of held-out
scenes whose caption is right word for word.

After an interruption, the same command resumes at the interrupted stage.
Finished stages are not run again, unless --start_anew deletes their output.
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
    "Folder for all output, about 100 MB.",
)
_SCENES = flags.DEFINE_integer(
    "scenes",
    shapes_recipe.Recipe.num_scenes,
    "Number of scenes to draw.",
    lower_bound=120,
)
_SEED = flags.DEFINE_integer(
    "seed",
    shapes_recipe.Recipe.seed,
    "Seed of the scenes and of all training.",
    lower_bound=0,
)
_ENCODER_STEPS = flags.DEFINE_integer(
    "encoder_steps",
    shapes_recipe.Recipe.encoder_steps,
    "Number of steps to train the encoder.",
    lower_bound=1,
)
_DECODER_STEPS = flags.DEFINE_integer(
    "decoder_steps",
    shapes_recipe.Recipe.decoder_steps,
    "Number of steps of phase 1, which trains the decoder.",
    lower_bound=1,
)
_FINE_TUNING_STEPS = flags.DEFINE_integer(
    "fine_tuning_steps",
    shapes_recipe.Recipe.fine_tuning_steps,
    "Number of further steps of phase 2, which trains both.",
    lower_bound=1,
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Further overrides of the configuration of the encoder and the model, such"
    " as batch_size=16.",
)
_START_ANEW = flags.DEFINE_boolean(
    "start_anew", False, "Whether to delete the output of an earlier run first."
)


def main(argv: list[str]) -> None:
  """Runs the stages that are not finished, and prints the results."""
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
  print(f"Everything is written to {recipe.folder}.")
  seconds = shapes_recipe.run(recipe.folder, recipe.settings(), recipe.stages())
  _show_results(recipe, sum(seconds.values()))


def _output_dir() -> pathlib.Path:
  """Returns the absolute output folder; under `bazel run`, from its cwd."""
  start = os.environ.get("BUILD_WORKING_DIRECTORY", "")
  return pathlib.Path(start, _OUTPUT_DIR.value).absolute()


def _delete_earlier_run(folder: pathlib.Path) -> None:
  """Deletes the folder, if a quickstart wrote it."""
  if (folder / shapes_recipe.FILE_NAME).exists():
    shutil.rmtree(folder)


def _show_results(recipe: shapes_recipe.Recipe, seconds: float) -> None:
  figures = recipe.figures()
  figures["time"] = f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
  width = max(map(len, figures))
  print("\nScenes with pairs of objects never seen together in training:\n")
  for name, value in figures.items():
    print(f"  {name.ljust(width)}  {value}")
  tensorboard = shapes_recipe.Command(
      "tensorboard_main", [f"--logdir={recipe.folder}/model"]
  )
  caption = recipe.caption("/path/to/your/picture.jpg")
  print(f"""
Pictures with their captions, to open in a browser:

  {recipe.folder / "report" / "index.html"}

The logs of training, in TensorBoard:

  {tensorboard}

What next? Caption a picture of your own. The model knows shapes only, so its
captions mention nothing else:

  {caption}

For a model of photographs, train on MSCOCO as README.md describes:

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
