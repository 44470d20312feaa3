"""Tests of the model for inference, against the one with variables."""

import dataclasses

from absl.testing import parameterized
import tensorflow as tf

from im2txt import configuration
from im2txt import show_and_tell_model
from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import saved_config
from im2txt.inference import inference_model
from im2txt.testing import tiny_captioning

_FIRST_KERNEL = "InceptionV3/Conv2d_1a_3x3/weights"


class InferenceModelTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = tf.compat.v1.test.get_temp_dir()
    cls.expected = tiny_captioning.make_model()
    cls.checkpoint = tiny_captioning.save(cls.expected, cls.folder)
    cls.images = tf.stack(
        [
            cls.expected.preprocess_image(tiny_captioning.jpeg(seed))
            for seed in range(3)
        ]
    )

  def _states(self, model):
    return tf.function(model.initial_states, autograph=False)(self.images)

  def test_does_what_the_model_with_variables_does(self):
    model = inference_model.InferenceModel(
        tiny_captioning.CONFIG, self.checkpoint
    )
    self.assertEqual(tiny_captioning.CONFIG.vocab_size, model.vocab_size)
    encoded_image = tiny_captioning.jpeg(1)
    self.assertAllEqual(
        model.preprocess_image(encoded_image),
        self.expected.preprocess_image(encoded_image),
    )
    states = self._states(model)
    self.assertAllClose(states, self._states(self.expected), atol=1e-3)
    self.assertNotAllClose(states[0], states[1], atol=0.1)
    found = model.decode_step(tf.constant([1, 4, 1]), states)
    expected = self.expected.decode_step(tf.constant([1, 4, 1]), states)
    self.assertAllEqual(found[0], expected[0])
    self.assertAllEqual(found[1], expected[1])

  def test_averages_of_weights(self):
    averages = {
        f"{name}/ExponentialMovingAverage": 2 * variable
        for name, variable in self.expected.checkpoint_variables().items()
        if name in ("image_embedding/weights", _FIRST_KERNEL)
    }
    variables = {**self.expected.checkpoint_variables(), **averages}
    path = self.create_tempdir().full_path + "/model.ckpt"
    tf.raw_ops.SaveV2(
        prefix=path,
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=[tf.convert_to_tensor(value) for value in variables.values()],
    )
    config = dataclasses.replace(tiny_captioning.CONFIG, use_ema=True)
    model = inference_model.InferenceModel(config, path)
    twin = show_and_tell_model.ShowAndTellModel(config, "inference")
    for name, variable in twin.checkpoint_variables().items():
      average = averages.get(f"{name}/ExponentialMovingAverage")
      variable.assign(variables[name] if average is None else average)
    states = self._states(model)
    self.assertAllClose(self._states(twin), states, atol=1e-3)
    self.assertNotAllClose(self._states(self.expected), states, atol=0.1)

  def test_bfloat16(self):
    model = inference_model.InferenceModel(
        tiny_captioning.CONFIG, self.checkpoint, "bfloat16"
    )
    self.assertAllInRange(self._states(model), -10, 10)

  def test_unknown_precision(self):
    with self.assertRaisesRegex(ValueError, "Got: 'int8'"):
      inference_model.InferenceModel(
          tiny_captioning.CONFIG, self.checkpoint, "int8"
      )

  @parameterized.parameters(
      (None, "encoder.ckpt holds an Inception v3 alone"),
      (
          "lstm/basic_lstm_cell/kernel",
          "is missing 1 .*lstm/basic_lstm_cell/kernel",
      ),
      (
          "InceptionV3/Conv2d_1a_3x3/weights",
          "is missing 1 .*Conv2d_1a_3x3/weights",
      ),
  )
  def test_missing_variables(self, name, message):
    all_variables = self.expected.checkpoint_variables()
    missing = [name] if name else checkpoint_names.DECODER_NAMES
    variables = {n: v for n, v in all_variables.items() if n not in missing}
    path = self.create_tempdir().full_path + "/encoder.ckpt"
    tf.compat.v1.train.Saver(variables).save(None, path)
    with self.assertRaisesRegex(ValueError, message):
      inference_model.InferenceModel(tiny_captioning.CONFIG, path)

  @parameterized.parameters("embedding_size=9", "inception_depth_multiplier=1")
  def test_another_configuration(self, overrides):
    config, _ = configuration.apply_overrides(
        *saved_config.load(self.folder), overrides
    )
    with self.assertRaisesRegex(ValueError, "with shape .*config_overrides"):
      inference_model.InferenceModel(config, self.checkpoint)


if __name__ == "__main__":
  tf.test.main()
