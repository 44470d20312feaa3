"""Tiny inputs, for tests of the benchmarks."""

import sys

from absl import flags
from absl.testing import flagsaver

from benchmarks import captioning_inputs
from im2txt.testing import tiny


def make(folder: str) -> captioning_inputs.Inputs:
  """Creates a tiny model and two images in an existing folder."""
  if not flags.FLAGS.is_parsed():
    flags.FLAGS(sys.argv[:1])
  with flagsaver.flagsaver(config_overrides=tiny.OVERRIDES, num_images=2):
    return captioning_inputs.make(folder)
