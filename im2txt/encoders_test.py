"""Tests of encoders."""

import dataclasses

from absl.testing import parameterized
import tensorflow as tf

from im2txt import encoders
from im2txt.testing import tiny


class EncodersTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.encoder = encoders.make_encoder(tiny.CONFIG, seed=1)

  def test_encoder_is_as_configured(self):
    features = self.encoder(tf.zeros([2, 75, 75, 3]))
    self.assertEqual(features.shape, [2, self.encoder.feature_size])
    self.assertEmpty(self.encoder.trainable_variables)

  def test_fingerprint_is_that_of_the_weights(self):
    twin = encoders.make_encoder(tiny.CONFIG, trainable=True, seed=1)
    other = encoders.make_encoder(tiny.CONFIG, seed=2)
    self.assertEqual(*self._fingerprints(self.encoder, twin))
    self.assertNotEqual(*self._fingerprints(self.encoder, other))

  def test_fingerprint_changes_with_a_moving_average(self):
    encoder = encoders.make_encoder(tiny.CONFIG, seed=1)
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
    first = encoders.fingerprint(self.encoder, tiny.CONFIG)
    second = encoders.fingerprint(self.encoder, config)
    self.assertEqual(first == second, same)

  def _fingerprints(self, *each):
    return [encoders.fingerprint(encoder, tiny.CONFIG) for encoder in each]


if __name__ == "__main__":
  tf.test.main()
