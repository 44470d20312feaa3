"""Tests of search_flags."""

import sys

from absl import flags
from absl.testing import absltest
from absl.testing import flagsaver

from im2txt import captioning
from im2txt import search_flags


class SearchFlagsTest(absltest.TestCase):

  def test_options_are_those_of_the_search(self):
    if not flags.FLAGS.is_parsed():
      flags.FLAGS(sys.argv[:1])
    with flagsaver.flagsaver(beam_size=5, length_normalization_factor=0.7):
      self.assertEqual(
          {
              "beam_size": 5,
              "max_caption_length": 20,
              "length_normalization_factor": 0.7,
          },
          search_flags.options(),
      )
    self.assertEqual(
        captioning.SearchOptions.__annotations__.keys(),
        search_flags.options().keys(),
    )


if __name__ == "__main__":
  absltest.main()
