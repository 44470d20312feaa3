"""Stand-ins that are quickly made: for tests of the benchmarks."""

import sys

from absl import flags
from absl.testing import flagsaver

from benchmarks import stand_ins

_TINY = (
    "vocab_size=12,image_height=75,image_width=75,resize_height=80,"
    "resize_width=80,inception_depth_multiplier=0.05,embedding_size=8,"
    "num_lstm_units=6"
)


def make(folder: str) -> stand_ins.Inputs:
  """Makes a tiny model and two images in an existing folder."""
  if not flags.FLAGS.is_parsed():
    flags.FLAGS(sys.argv[:1])
  with flagsaver.flagsaver(config_overrides=_TINY, num_images=2):
    return stand_ins.make(folder)
