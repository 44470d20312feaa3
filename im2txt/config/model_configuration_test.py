"""Tests of the model's configuration: what is released, what is refused."""

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.config import model_configuration


class ModelConfigTest(parameterized.TestCase):

  def test_defaults_are_the_released_models(self):
    config = model_configuration.ModelConfig()
    released = {
        "image_feature_name": "image/data",
        "caption_feature_name": "image/caption_ids",
        "vocab_size": 12000,
        "num_preprocess_threads": 4,
        "batch_size": 32,
        "image_height": 299,
        "image_width": 299,
        "initializer_scale": 0.08,
        "embedding_size": 512,
        "num_lstm_units": 512,
        "lstm_dropout_keep_prob": 0.7,
    }
    found = {name: getattr(config, name) for name in released}
    self.assertEqual(released, found)

  @parameterized.parameters(
      {"image_format": "png"},
      {"num_preprocess_threads": 2},
      {"lstm_dropout_keep_prob": 1.0, "inception_dropout_keep_prob": 1},
      {"resize_height": 0, "resize_width": 0},
      {"resize_height": 299, "resize_width": 299},
  )
  def test_bounds_that_are_taken(self, **values):
    config = model_configuration.ModelConfig(**values)
    found = {name: getattr(config, name) for name in values}
    self.assertEqual(values, found)

  @parameterized.parameters(
      ("vocab_size", 0, "must be positive. Got: 0."),
      ("shuffle_buffer_size", -1, "must be positive. Got: -1."),
      ("bucket_batches", 0, "must be positive. Got: 0."),
      ("inception_depth_multiplier", 0.0, "must be positive. Got: 0.0."),
      ("batch_size", 1.5, "takes a value of type int. Got: 1.5."),
      ("use_ema", "true", "takes a value of type bool. Got: 'true'."),
      ("image_format", "gif", "must be jpeg or png. Got: 'gif'."),
      ("lstm_dropout_keep_prob", 0.0, "must be in (0, 1]. Got: 0.0."),
      ("inception_dropout_keep_prob", 1.1, "must be in (0, 1]. Got: 1.1."),
      (
          "num_preprocess_threads",
          3,
          "must be even, so that both colour orders are used equally. Got: 3.",
      ),
      (
          "resize_height",
          298,
          "must be at least image_height (299), or 0 for no resizing."
          " Got: 298.",
      ),
      (
          "resize_width",
          1,
          "must be at least image_width (299), or 0 for no resizing. Got: 1.",
      ),
  )
  def test_wrong_values(self, name, value, message):
    with self.assertRaisesWithLiteralMatch(ValueError, f"{name} {message}"):
      model_configuration.ModelConfig(**{name: value})


if __name__ == "__main__":
  absltest.main()
