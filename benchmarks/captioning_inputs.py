"""The inputs of captioning benchmarks: the user's model, or an untrained one.

Captions of an untrained model seldom reach the end word, so the search takes
all its steps. For results to publish, use a trained model.
"""

from collections.abc import Callable
import os
import tempfile
from typing import NamedTuple

from absl import flags
import numpy as np

from benchmarks import photographs
from im2txt.runtime import program

_CHECKPOINT_PATH = flags.DEFINE_string(
    "checkpoint_path",
    "",
    "The model, as for run_inference; an untrained one is created if empty.",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file", "", "The model's word_counts.txt; for --checkpoint_path."
)
_INPUT_FILES = flags.DEFINE_string(
    "input_files", "", "Patterns of JPEG files; synthetic ones if empty."
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Overrides of the configuration of the untrained model, such as"
    " vocab_size=9000.",
)
NUM_IMAGES = flags.DEFINE_integer(
    "num_images", 32, "Number of images per round.", lower_bound=1
)
ROUNDS = flags.DEFINE_integer(
    "rounds", 5, "Number of measured rounds per variant.", lower_bound=1
)


class Inputs(NamedTuple):
  """A model and the images to caption.

  Attributes:
    checkpoint: The model's checkpoint or folder.
    vocab_file: The model's vocabulary.
    files: The JPEG files, `--num_images` of them.
  """

  checkpoint: str
  vocab_file: str
  files: list[str]


def run(benchmark: Callable[[Inputs], None]) -> None:
  """Runs a program that parses the flags and calls `benchmark(inputs)`."""

  def main(argv: list[str]) -> None:
    del argv
    if _CHECKPOINT_PATH.value:
      program.require(_VOCAB_FILE)
    with tempfile.TemporaryDirectory() as folder:
      benchmark(make(folder))

  main.__module__ = benchmark.__module__  # Whose docstring --help prints.
  program.run(main)


def make(folder: str) -> Inputs:
  """Returns the inputs of the flags; creates missing ones in a folder."""
  # Imported here, as TensorFlow takes seconds to import.
  from im2txt.batch_captioning import input_files

  checkpoint, vocab_file = _CHECKPOINT_PATH.value, _VOCAB_FILE.value
  if not checkpoint:
    checkpoint, vocab_file = folder, os.path.join(folder, "word_counts.txt")
    _make_model(folder, vocab_file)
  if _INPUT_FILES.value:
    files, _ = input_files.find(_INPUT_FILES.value)
  else:
    files = _make_images(folder)
  # Repeated if there are too few.
  return Inputs(
      checkpoint, vocab_file, np.resize(files, NUM_IMAGES.value).tolist()
  )


def _make_model(folder: str, vocab_file: str) -> None:
  from im2txt import configuration
  from im2txt import show_and_tell_model
  from im2txt.checkpointing import checkpoints
  from im2txt.checkpointing import saved_config

  config, training_config = configuration.apply_overrides(
      configuration.ModelConfig(),
      configuration.TrainingConfig(),
      _CONFIG_OVERRIDES.value,
  )
  model = show_and_tell_model.ShowAndTellModel(config, "inference")
  saved_config.save(folder, config, training_config)
  variables = model.checkpoint_variables()
  checkpoints.Saver(variables, folder, max_to_keep=1).save(0)
  with open(vocab_file, "w", encoding="utf-8") as file:
    file.write("<S> 9\n</S> 9")
    # One word less, as the unknown word is added.
    file.writelines(f"\nword{i} 9" for i in range(config.vocab_size - 3))


def _make_images(folder: str) -> list[str]:
  rng = np.random.default_rng(0)
  files = [os.path.join(folder, f"{i}.jpg") for i in range(NUM_IMAGES.value)]
  for name in files:
    with open(name, "wb") as file:
      file.write(photographs.jpeg(rng))
  return files
