"""Tests of the decoder of a configuration."""

from absl.testing import absltest
import numpy as np

from im2txt import decoders
from im2txt.testing import tiny


class DecodersTest(absltest.TestCase):

  def test_sizes_are_those_of_the_configuration(self):
    decoder = decoders.make_decoder(tiny.CONFIG, 5)

    self.assertEqual(decoder.image_map.shape, (5, 8))
    self.assertEqual(decoder.word_map.shape, (12, 8))
    self.assertEqual(decoder.lstm_kernel.shape, (8 + 6, 4 * 6))
    self.assertEqual(decoder.logits_weights.shape, (6, 12))

  def test_values_are_those_given(self):
    asked = {}

    def value(name, shape):
      asked[name] = np.full(shape, len(asked), np.float32)
      return asked[name]

    decoder = decoders.make_decoder(tiny.CONFIG, 5, value=value)

    self.assertEqual(asked.keys(), decoder.variables_by_name.keys())
    for name, variable in decoder.variables_by_name.items():
      np.testing.assert_array_equal(variable, asked[name])


if __name__ == "__main__":
  absltest.main()
