"""Tests of the folded encoder against the encoder with variables."""

import numpy as np
import tensorflow as tf

from im2txt.ops import folded_encoder
from im2txt.ops import image_embedding

_SIZES = {"height": 75, "width": 75, "depth_multiplier": 0.05}


class FoldedEncoderTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    # With a decay of 0 the moving averages become those of these images.
    cls.encoder = image_embedding.ImageEncoder(batch_norm_decay=0.0, **_SIZES)
    rng = np.random.default_rng(2)
    cls.images = tf.constant(rng.uniform(-1, 1, [8, 75, 75, 3]), tf.float32)
    tf.function(cls.encoder.features_and_end_points, autograph=False)(
        cls.images, dropout_seed=tf.constant([1, 2])
    )
    for name, variable in cls.encoder.variables_by_name.items():
      if name.endswith("beta"):
        variable.assign(rng.normal(0.1, 0.1, variable.shape))

  def _value(self, name, shape):
    variable = self.encoder.variables_by_name[name]
    self.assertEqual(shape, variable.shape)
    return tf.convert_to_tensor(variable)

  def test_features_are_the_encoders(self):
    folded = folded_encoder.FoldedEncoder(self._value, **_SIZES)
    self.assertEqual(self.encoder.feature_size, folded.feature_size)
    expected = self.encoder(self.images)
    spread = tf.reduce_max(tf.math.reduce_std(expected, axis=0))
    self.assertGreater(spread, 0.01)
    features = folded(self.images)
    self.assertAllClose(expected, features, rtol=1e-3, atol=1e-5)
    self.assertAllClose(features[:1], folded(self.images[:1]), rtol=1e-4)

  def test_bfloat16(self):
    folded = folded_encoder.FoldedEncoder(
        self._value, dtype=tf.bfloat16, **_SIZES
    )
    features = folded(self.images)
    self.assertEqual(tf.float32, features.dtype)
    expected = self.encoder(self.images)
    distance = tf.norm(features - expected) / tf.norm(expected)
    self.assertBetween(distance, 1e-4, 0.05)

  def test_has_no_constants_of_weights_in_the_graph(self):
    folded = folded_encoder.FoldedEncoder(self._value, **_SIZES)
    graph = folded.function.graph.as_graph_def()
    self.assertLess(graph.ByteSize(), 500_000)

  def test_variables_are_in_an_order_that_is_always_the_same(self):
    folded = folded_encoder.FoldedEncoder(
        self._value, as_variables=True, **_SIZES
    )
    names = [variable.name for variable in folded.variables]
    self.assertLen(names, 2 * 94)  # Kernel and offset of each layer.
    self.assertEqual(
        names[:3],
        [
            "InceptionV3/Conv2d_1a_3x3/weights:0",
            "InceptionV3/Conv2d_1a_3x3/biases:0",
            "InceptionV3/Conv2d_2a_3x3/weights:0",
        ],
    )
    self.assertAllClose(
        self.encoder(self.images), folded(self.images), rtol=1e-3, atol=1e-5
    )

  def test_small_images(self):
    with self.assertRaisesRegex(ValueError, "at least 75 x 75"):
      folded_encoder.FoldedEncoder(self._value, height=64, width=75)


if __name__ == "__main__":
  tf.test.main()
