"""Tests of initial weights of the encoder."""

import os
from unittest import mock
import urllib.error

from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import networks
from im2txt.checkpointing import encoder_weights
from im2txt.ops import image_embedding
from im2txt.testing import old_checkpoints
from im2txt.testing import tiny

_DECODER = {
    "seq_embedding/map": np.zeros([9, 5], np.float32),
    "lstm/BasicLSTMCell/Linear/Matrix": np.zeros([12, 28], np.float32),
}
_CLASSIFIERS = {
    "InceptionV3/AuxLogits/Conv2d_1b_1x1/weights": np.ones([1, 1, 2, 3]),
    "InceptionV3/AuxLogits/Conv2d_1b_1x1/BatchNorm/beta": np.ones([3]),
    "InceptionV3/Logits/Conv2d_1c_1x1/weights": np.ones([1, 1, 2, 3]),
    "InceptionV3/Logits/Conv2d_1c_1x1/biases": np.ones([3]),
    "global_step": np.int64(7),
}


class EncoderWeightsTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.encoder = networks.make_encoder(tiny.CONFIG)
    rng = np.random.default_rng(1)
    cls.values = {
        name: rng.uniform(0.5, 1.5, variable.shape).astype(np.float32)
        for name, variable in cls.encoder.variables_by_name.items()
    }

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    for variable in self.encoder.variables_by_name.values():
      variable.assign(tf.zeros(variable.shape))

  def _assert_restored(self, source):
    with self.assertLogs("absl", "INFO") as logs:
      encoder_weights.restore(self.encoder, source)
    for name, variable in self.encoder.variables_by_name.items():
      self.assertAllEqual(self.values[name], variable, msg=name)
    return "\n".join(logs.output)

  def test_the_one_file_of_2016(self):
    path = old_checkpoints.write(
        self.dir,
        {**self.values, **_CLASSIFIERS},
        version=1,
        name="inception_v3.ckpt",
    )
    self.assertTrue(os.path.isfile(path))
    log = self._assert_restored(path)
    self.assertIn("Restoring Inception variables from checkpoint file", log)
    self.assertNotIn("im2txt model", log)

  def test_todays_format(self):
    path = old_checkpoints.write(
        self.dir, {**self.values, **_CLASSIFIERS}, version=2
    )
    self._assert_restored(path)
    self.assertEqual(
        encoder_weights.load_config(path)[0], configuration.ModelConfig()
    )

  def test_model_of_im2txt(self):
    old_checkpoints.write(
        self.dir, {**self.values, **_DECODER}, version=1, step=3
    )
    log = self._assert_restored(self.dir)
    self.assertRegex(log, "model.ckpt-3 is an im2txt model: only its enc")
    self.assertEqual(encoder_weights.load_config(self.dir)[0].vocab_size, 9)

  def test_other_checkpoint(self):
    path = old_checkpoints.write(self.dir, {"x": np.zeros(1)}, version=2)
    with self.assertRaisesRegex(ValueError, "is missing 376 variables"):
      encoder_weights.restore(self.encoder, path)

  def test_keras_in_order(self):
    arrays = list(self.values.values())
    for source, reader in (("keras", "fetch"), ("x/y.h5", "read")):
      with mock.patch.object(encoder_weights, reader, return_value=arrays):
        self._assert_restored(source)
      self.assertEqual(
          encoder_weights.load_config(source)[0], configuration.ModelConfig()
      )

  def test_keras_of_another_width(self):
    arrays = [np.zeros([3, 3, 3, 32])] + list(self.values.values())[1:]
    with (
        mock.patch.object(encoder_weights, "fetch", return_value=arrays),
        self.assertRaisesRegex(
            ValueError, r"3, 32\], .* needs \[3, 3, 3, 16\]"
        ),
    ):
      encoder_weights.restore(self.encoder, "keras")


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
    arrays = encoder_weights.read(os.path.join(self.folder, name))
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
    with self.assertRaisesRegex(ValueError, "has 4 arrays .* instead of 376"):
      encoder_weights.read(path)

  @parameterized.parameters("x.h5", "x.keras")
  def test_web_page(self, name):
    path = self.create_tempfile(name, "<html>Sign in</html>").full_path
    with self.assertRaisesRegex(ValueError, f"{name} is a web page"):
      encoder_weights.read(path)

  @parameterized.parameters("x.h5", "x.keras")
  def test_no_file_of_keras(self, name):
    with self.assertRaisesRegex(ValueError, f"{name} does not contain Keras'"):
      encoder_weights.read(self._path(name, "x"))
    with self.assertRaisesRegex(
        FileNotFoundError, f"no Keras file '/no/{name}"
    ):
      encoder_weights.read(f"/no/{name}")

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
            ConnectionError, "could not be downloaded.*no route"
        ),
    ):
      encoder_weights.fetch()

  def test_code_in_a_file_is_not_run(self):
    path = os.path.join(self.create_tempdir().full_path, "lambda.keras")
    made = f"{path}.folder"
    layer = keras.layers.Lambda(lambda x: (os.makedirs(made), x)[1])
    keras.Sequential([keras.Input([1]), layer]).save(path)
    os.rmdir(made)
    with self.assertRaisesRegex(ValueError, "InceptionV3: .*Lambda"):
      encoder_weights.read(path)
    self.assertFalse(os.path.exists(made))


def _fetching(get_file):
  """What Keras does for its weights, without the network around it."""

  def fetch(**kwargs):
    del kwargs
    return get_file("none.h5", "https://example.invalid/none.h5")

  return fetch


if __name__ == "__main__":
  tf.test.main()
