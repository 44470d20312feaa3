"""Tests of the encoder and its batch normalization."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.ops import image_embedding

_SIZES = {"height": 75, "width": 75, "depth_multiplier": 0.05}


def _function(function):
  return tf.function(function, autograph=False)


class ImageEncoderTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.encoder = image_embedding.ImageEncoder(
        **_SIZES,
        batch_norm_decay=0.9,
        trainable=True,
        seed=3,
    )
    rng = np.random.default_rng(2)
    cls.images = tf.constant(rng.uniform(-1, 1, [2, 75, 75, 3]), tf.float32)

  def test_variables_are_those_of_the_checkpoint(self):
    kinds = {}
    for name in self.encoder.variables_by_name:
      self.assertStartsWith(name, "InceptionV3/")
      kinds.setdefault(name.rpartition("/")[2], []).append(name)
    # 94 convolutions of four variables each make the checkpoint's 376.
    self.assertEqual(
        {"weights": 94, "beta": 94, "moving_mean": 94, "moving_variance": 94},
        {kind: len(names) for kind, names in kinds.items()},
    )
    self.assertIn(
        "InceptionV3/Mixed_5c/Branch_1/Conv_1_0c_5x5/BatchNorm/beta",
        kinds["beta"],
    )
    weights = self.encoder.variables_by_name[
        "InceptionV3/Conv2d_1a_3x3/weights"
    ]
    self.assertEqual((3, 3, 3, 16), weights.shape)

  def test_moving_averages_are_not_trained(self):
    trained = {v.name for v in self.encoder.trainable_variables}
    self.assertLen(trained, 2 * 94)
    self.assertNoCommonElements(
        trained,
        [n + ":0" for n in self.encoder.variables_by_name if "moving" in n],
    )

  def test_features_and_end_points(self):
    features, end_points = _function(self.encoder.features_and_end_points)(
        self.images
    )
    self.assertEqual((2, self.encoder.feature_size), features.shape)
    self.assertAllClose(
        tf.reduce_mean(end_points["Mixed_7c"], [1, 2]), features
    )
    self.assertLen(end_points, 18)
    self.assertAllClose(self.encoder(self.images), features, rtol=1e-4)

  def test_narrow_activations(self):
    images = tf.random.stateless_uniform([2, 75, 75, 3], [1, 2], -1, 1)
    activations = []
    for dtype in (tf.float32, tf.bfloat16):
      encoder = image_embedding.ImageEncoder(
          height=75,
          width=75,
          depth_multiplier=0.05,
          trainable=True,
          compute_dtype=dtype,
      )

      @_function
      def training_step(encoder=encoder):
        with tf.GradientTape() as tape:
          features, end_points = encoder.features_and_end_points(
              images, dropout_seed=tf.constant([3, 4])
          )
        gradients = tape.gradient(features, encoder.trainable_variables)
        return end_points["Conv2d_2b_3x3"], features, gradients

      activation, features, gradients = training_step()
      self.assertEqual(dtype, activation.dtype)
      self.assertEqual(tf.float32, features.dtype)
      self.assertEqual({tf.float32}, {value.dtype for value in gradients})
      activations.append(tf.cast(activation, tf.float32))
    self.assertAllClose(*activations, atol=0.1)
    self.assertNotAllClose(*activations, atol=1e-4)

  def test_batch_of_any_size(self):
    features = self.encoder(self.images)
    self.assertAllClose(features[:1], self.encoder(self.images[:1]), rtol=1e-4)

  def test_training_updates_moving_averages_and_drops_out(self):
    name = "InceptionV3/Conv2d_1a_3x3/BatchNorm/moving_mean"
    mean = self.encoder.variables_by_name[name]
    earlier = mean.numpy()
    train = _function(
        lambda seed: self.encoder.features_and_end_points(
            self.images, dropout_seed=seed
        )[0]
    )
    features = train(tf.constant([1, 2])).numpy()
    self.assertNotAllClose(earlier, mean)
    self.assertAllEqual(features, train(tf.constant([1, 2])))
    # Another seed drops other features and does not change those it keeps.
    others = train(tf.constant([1, 3])).numpy()
    kept = (features != 0) & (others != 0)
    self.assertAllClose(features[kept], others[kept])
    either = (features != 0) | (others != 0)
    self.assertBetween(np.mean(features[either] == 0), 0.05, 0.35)

  @parameterized.parameters(tf.float32, tf.bfloat16)
  def test_frozen_batch_norm(self, dtype):
    encoder = image_embedding.ImageEncoder(
        **_SIZES,
        freeze_batch_norm=True,
        dropout_keep_prob=1.0,
        trainable=True,
        compute_dtype=dtype,
    )
    name = "InceptionV3/Conv2d_1a_3x3/BatchNorm/"
    mean = encoder.variables_by_name[name + "moving_mean"]
    beta = encoder.variables_by_name[name + "beta"]
    mean.assign_add(0.1 * tf.ones_like(mean))
    earlier = mean.numpy()

    @_function
    def train(images):
      features, _ = encoder.features_and_end_points(
          images, dropout_seed=tf.constant([1, 2])
      )
      return features, tf.gradients(tf.reduce_sum(features), beta)[0]

    features, gradient = train(self.images)
    self.assertAllEqual(earlier, mean)
    # An image's features do not depend on the rest of the batch.
    self.assertAllClose(features[:1], encoder(self.images[:1]), rtol=0.02)
    self.assertNotAllClose(tf.zeros_like(gradient), gradient)

  def test_regularized_weights(self):
    weights = self.encoder.regularized_weights()
    self.assertLen(weights, 94)
    self.assertEqual({4}, {len(w.shape) for w in weights})

  def test_initial_weights_depend_on_seed_and_name_only(self):
    # A truncated normal of standard deviation 0.1.
    for weights in self.encoder.regularized_weights()[:3]:
      self.assertAllInRange(weights, -0.2, 0.2)
    expected = tf.random.stateless_truncated_normal(
        (3, 3, 3, 16), seed=(3, 0xDA0E161A), stddev=0.1
    )
    weights = self.encoder.variables_by_name[
        "InceptionV3/Conv2d_1a_3x3/weights"
    ]
    self.assertAllClose(expected, weights)

  def test_small_images(self):
    with self.assertRaisesRegex(ValueError, "at least 75 x 75"):
      image_embedding.ImageEncoder(height=64, width=75)


class BatchNormTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.variables = {
        "layer/BatchNorm/beta": tf.Variable([1.0]),
        "layer/BatchNorm/moving_mean": tf.Variable([2.0], trainable=False),
        "layer/BatchNorm/moving_variance": tf.Variable([4.0], trainable=False),
    }

  def _batch_norm(self, inputs, *, is_training):
    getter = lambda getter, name, *args, **kwargs: self.variables[name]

    @_function
    def run(inputs):
      statistics = [] if is_training else None
      with tf.compat.v1.variable_scope("layer", custom_getter=getter):
        outputs = image_embedding.batch_norm(
            inputs, batch_statistics=statistics
        )
      if statistics:
        image_embedding.update_moving_averages(statistics, decay=0.75)
      return outputs

    return run(tf.reshape(tf.constant(inputs), [-1, 1, 1, 1]))[:, 0, 0, 0]

  def test_inference_uses_moving_averages(self):
    outputs = self._batch_norm([2.0, 6.0], is_training=False)
    # (x - 2) / sqrt(4 + 0.001) + 1.
    self.assertAllClose([1.0, 1.0 + 4 / np.sqrt(4.001)], outputs)
    self.assertAllClose([2.0], self.variables["layer/BatchNorm/moving_mean"])

  def test_training_uses_the_batch(self):
    outputs = self._batch_norm([2.0, 6.0], is_training=True)
    # Mean 4, variance 4.
    self.assertAllClose(
        [1 - 2 / np.sqrt(4.001), 1 + 2 / np.sqrt(4.001)], outputs
    )
    # 0.75 * 2 + 0.25 * 4, and with the unbiased variance 8 of two values
    # 0.75 * 4 + 0.25 * 8.
    self.assertAllClose([2.5], self.variables["layer/BatchNorm/moving_mean"])
    self.assertAllClose(
        [5.0], self.variables["layer/BatchNorm/moving_variance"]
    )

  def test_moving_averages_of_several_layers(self):
    averages = [tf.Variable([0.0, 8.0]), tf.Variable([4.0])]
    statistics = [tf.constant([4.0, 0.0]), tf.constant([4.0])]
    image_embedding.update_moving_averages(
        list(zip(averages, statistics, strict=True)), decay=0.75
    )
    self.assertAllClose([1.0, 6.0], averages[0])
    self.assertAllClose([4.0], averages[1])


if __name__ == "__main__":
  tf.test.main()
