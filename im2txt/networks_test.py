"""Tests of the networks and the preprocessing of a configuration."""

import dataclasses

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import networks
from im2txt.ops import image_processing
from im2txt.testing import tiny


class EncoderTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.encoder = networks.make_encoder(tiny.CONFIG, seed=1)

  def test_encoder_is_as_configured(self):
    features = self.encoder(tf.zeros([2, 75, 75, 3]))
    self.assertEqual(features.shape, [2, self.encoder.feature_size])
    self.assertEmpty(self.encoder.trainable_variables)

  def test_fingerprint_is_that_of_the_weights(self):
    twin = networks.make_encoder(tiny.CONFIG, trainable=True, seed=1)
    other = networks.make_encoder(tiny.CONFIG, seed=2)
    self.assertEqual(*self._fingerprints(self.encoder, twin))
    self.assertNotEqual(*self._fingerprints(self.encoder, other))

  def test_fingerprint_changes_with_a_moving_average(self):
    encoder = networks.make_encoder(tiny.CONFIG, seed=1)
    name = next(n for n in encoder.variables_by_name if "moving_mean" in n)
    variable = encoder.variables_by_name[name]
    variable.assign_add(tf.one_hot(0, variable.shape[0], 1e-6))
    self.assertNotEqual(*self._fingerprints(self.encoder, encoder))

  @parameterized.parameters(
      ({"resize_height": 90}, False),
      ({"image_format": "png"}, False),
      ({"batch_size": 7, "vocab_size": 9}, True),
  )
  def test_fingerprint_is_that_of_the_preprocessing(self, changes, same):
    config = dataclasses.replace(tiny.CONFIG, **changes)
    first = networks.fingerprint(self.encoder, tiny.CONFIG)
    second = networks.fingerprint(self.encoder, config)
    self.assertEqual(first == second, same)

  def _fingerprints(self, *each):
    return [networks.fingerprint(encoder, tiny.CONFIG) for encoder in each]


class DecoderTest(tf.test.TestCase):

  def test_sizes_are_those_of_the_configuration(self):
    decoder = networks.make_decoder(tiny.CONFIG, 5)

    self.assertEqual(decoder.image_embedding.shape, (5, 8))
    self.assertEqual(decoder.word_embedding.shape, (12, 8))
    self.assertEqual(
        decoder.initial_state(tf.zeros([3, 5])).shape,
        (3, networks.state_size(tiny.CONFIG)),
    )
    self.assertEqual(decoder.lstm_kernel.shape, (8 + 6, 4 * 6))
    self.assertEqual(decoder.logits_weights.shape, (6, 12))

  def test_values_are_those_given(self):
    asked = {}

    def value(name, shape):
      asked[name] = np.full(shape, len(asked), np.float32)
      return asked[name]

    decoder = networks.make_decoder(tiny.CONFIG, 5, value=value)

    self.assertEqual(asked.keys(), decoder.variables_by_name.keys())
    for name, variable in decoder.variables_by_name.items():
      np.testing.assert_array_equal(variable, asked[name])


class PreprocessFnTest(tf.test.TestCase):

  def test_format_and_sizes_are_those_of_the_configuration(self):
    config = dataclasses.replace(
        tiny.CONFIG,
        image_format="png",
        image_height=3,
        image_width=2,
        resize_height=5,
        resize_width=4,
    )
    pixels = np.arange(6 * 7 * 3, dtype=np.uint8).reshape(6, 7, 3)

    image = networks.preprocess_fn(config)(
        tf.io.encode_png(pixels), is_training=False
    )

    expected = image_processing.central_view(
        tf.constant(pixels),
        height=3,
        width=2,
        resize_height=5,
        resize_width=4,
    )
    self.assertEqual(image.shape, (3, 2, 3))
    self.assertAllClose(image, expected)


if __name__ == "__main__":
  tf.test.main()
