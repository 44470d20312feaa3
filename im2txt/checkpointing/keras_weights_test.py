"""Tests of reading Keras' Inception v3: the features must be Keras' own."""

import os
from unittest import mock
import urllib.error

from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

from im2txt.checkpointing import keras_weights
from im2txt.ops import image_embedding

_SIZE = 75


def _make_model():
  """Keras' network with random weights and moving averages."""
  keras.utils.set_random_seed(1)
  # As another model would, this shifts the numbers in the layers' names.
  keras.layers.Conv2D(1, 1)
  model = keras.applications.InceptionV3(
      weights=None, input_shape=(_SIZE, _SIZE, 3), classes=3
  )
  rng = np.random.default_rng(1)
  for layer in model.layers:
    if isinstance(layer, keras.layers.BatchNormalization):
      beta, mean, variance = layer.get_weights()
      layer.set_weights(
          [
              rng.normal(scale=0.2, size=beta.shape),
              rng.normal(scale=0.2, size=mean.shape),
              rng.uniform(0.5, 1.5, variance.shape),
          ]
      )
  return model


class KerasWeightsTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    model = _make_model()
    pooled = keras.Model(model.inputs, model.get_layer("avg_pool").output)
    cls.folder = tf.compat.v1.test.get_temp_dir()
    model.save(os.path.join(cls.folder, "top.h5"))
    pooled.save_weights(os.path.join(cls.folder, "pooled.weights.h5"))
    pooled.save(os.path.join(cls.folder, "pooled.keras"))
    rng = np.random.default_rng(2)
    cls.images = rng.uniform(-1, 1, [2, _SIZE, _SIZE, 3]).astype(np.float32)
    cls.features = pooled(cls.images, training=False).numpy()
    cls.encoder = image_embedding.ImageEncoder(height=_SIZE, width=_SIZE)

  def _path(self, name, content):
    return self.create_tempfile(name, content).full_path

  @parameterized.parameters("top.h5", "pooled.weights.h5", "pooled.keras")
  def test_features_are_those_of_keras(self, name):
    arrays = keras_weights.read(os.path.join(self.folder, name))
    variables = self.encoder.variables_by_name.values()
    for variable, array in zip(variables, arrays, strict=True):
      variable.assign(array)
    self.assertGreater(np.std(self.features), 1e-2)
    self.assertAllClose(self.features, self.encoder(self.images), 1e-4, 1e-4)

  def test_another_network(self):
    inputs = keras.Input([8, 8, 3])
    outputs = keras.layers.Conv2D(2, 3, use_bias=False)(inputs)
    outputs = keras.layers.BatchNormalization(scale=False)(outputs)
    model = keras.Model(inputs, outputs)
    path = os.path.join(self.create_tempdir().full_path, "other.keras")
    model.save(path)
    with self.assertRaisesRegex(ValueError, "has 4 arrays .* not 376"):
      keras_weights.read(path)

  @parameterized.parameters("x.h5", "x.keras")
  def test_web_page(self, name):
    path = self.create_tempfile(name, "<html>Sign in</html>").full_path
    with self.assertRaisesRegex(ValueError, f"{name} is a web page"):
      keras_weights.read(path)

  @parameterized.parameters("x.h5", "x.keras")
  def test_no_file_of_keras(self, name):
    with self.assertRaisesRegex(ValueError, f"{name} does not hold Keras'"):
      keras_weights.read(self._path(name, "x"))
    with self.assertRaisesRegex(
        FileNotFoundError, f"no Keras file '/no/{name}"
    ):
      keras_weights.read(f"/no/{name}")

  def test_no_network(self):
    def fail(*args, **kwargs):
      raise urllib.error.URLError("no route")

    self.enter_context(
        mock.patch.dict(os.environ, KERAS_HOME=self.create_tempdir().full_path)
    )
    get_file = keras.utils.get_file
    with (
        mock.patch.object(
            keras.applications, "InceptionV3", side_effect=_fetching(get_file)
        ),
        mock.patch("urllib.request.urlopen", fail),
        self.assertRaisesRegex(
            ConnectionError, "could not be fetched.*no route"
        ),
    ):
      keras_weights.fetch()

  def test_code_in_a_file_is_not_run(self):
    path = os.path.join(self.create_tempdir().full_path, "lambda.keras")
    made = f"{path}.folder"
    layer = keras.layers.Lambda(lambda x: (os.makedirs(made), x)[1])
    keras.Sequential([keras.Input([1]), layer]).save(path)
    os.rmdir(made)
    with self.assertRaisesRegex(ValueError, "InceptionV3: .*Lambda"):
      keras_weights.read(path)
    self.assertFalse(os.path.exists(made))


def _fetching(get_file):
  """What Keras does for its weights, without the network around it."""

  def fetch(**kwargs):
    del kwargs
    return get_file("none.h5", "https://example.invalid/none.h5")

  return fetch


if __name__ == "__main__":
  tf.test.main()
