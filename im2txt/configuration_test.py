"""Tests of the configuration: defaults, valid values, overrides and JSON."""

import dataclasses
import json

from absl.testing import absltest
from absl.testing import parameterized

from im2txt import configuration


class ModelConfigTest(parameterized.TestCase):

  def test_defaults_as_released(self):
    config = configuration.ModelConfig()
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
    actual = {name: getattr(config, name) for name in released}
    self.assertEqual(released, actual)

  @parameterized.parameters(
      {"image_format": "png"},
      {"num_preprocess_threads": 2},
      {"lstm_dropout_keep_prob": 1.0, "inception_dropout_keep_prob": 1},
      {"resize_height": 0, "resize_width": 0},
      {"resize_height": 299, "resize_width": 299},
      {"initializer_scale": 1},  # An integer is also a float.
  )
  def test_valid_values(self, **values):
    config = configuration.ModelConfig(**values)
    actual = {name: getattr(config, name) for name in values}
    self.assertEqual(values, actual)

  @parameterized.parameters(
      ("vocab_size", 0, "must be positive. Got: 0."),
      ("shuffle_buffer_size", -1, "must be positive. Got: -1."),
      ("bucket_batches", 0, "must be positive. Got: 0."),
      ("inception_depth_multiplier", 0.0, "must be positive. Got: 0.0."),
      ("batch_size", 1.5, "must be of type int. Got: 1.5."),
      ("batch_size", 3.0, "must be of type int. Got: 3.0."),
      ("batch_size", True, "must be of type int. Got: True."),
      ("use_ema", "true", "must be of type bool. Got: 'true'."),
      ("use_ema", 1, "must be of type bool. Got: 1."),
      ("image_format", 3, "must be of type str. Got: 3."),
      ("initializer_scale", "1", "must be of type float. Got: '1'."),
      ("initializer_scale", False, "must be of type float. Got: False."),
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
  def test_invalid_values(self, name, value, message):
    with self.assertRaisesWithLiteralMatch(ValueError, f"{name} {message}"):
      configuration.ModelConfig(**{name: value})


class TrainingConfigTest(parameterized.TestCase):

  def test_defaults_as_released(self):
    config = configuration.TrainingConfig()
    released = {
        "num_examples_per_epoch": 586363,
        "optimizer": "SGD",
        "initial_learning_rate": 2.0,
        "learning_rate_decay_factor": 0.5,
        "num_epochs_per_decay": 8.0,
        "train_inception_learning_rate": 0.0005,
        "clip_gradients": 5.0,
        "max_checkpoints_to_keep": 5,
    }
    actual = {name: getattr(config, name) for name in released}
    self.assertEqual(released, actual)

  def test_additions_to_the_original_are_off(self):
    config = configuration.TrainingConfig()
    self.assertEqual(1, config.inception_learning_rate_factor)
    self.assertEqual(0, config.label_smoothing)
    self.assertEqual(0, config.decoder_weight_decay)
    self.assertEqual(0, config.ema_decay)
    self.assertEqual("off", config.scheduled_sampling)

  @parameterized.parameters(
      *({"optimizer": name} for name in ("sgd", "SGD", "Momentum", "adam")),
      *(
          {"scheduled_sampling": name}
          for name in ("off", "linear", "exponential", "inverse_sigmoid")
      ),
      {"scheduled_sampling_k": 1},
      {"inception_learning_rate_factor": 0.0},
      {"initial_learning_rate": 0.0},
      {"momentum": 0.0},
      {"save_checkpoint_secs": 0.0},
      {"save_checkpoint_steps": 500},
  )
  def test_valid_values(self, **values):
    config = configuration.TrainingConfig(**values)
    actual = {name: getattr(config, name) for name in values}
    self.assertEqual(values, actual)

  @parameterized.parameters(
      ("num_examples_per_epoch", 0, "must be positive. Got: 0."),
      ("num_epochs_per_decay", 0.0, "must be positive. Got: 0.0."),
      ("num_epochs_per_decay", float("nan"), "must be positive. Got: nan."),
      ("clip_gradients", -5.0, "must be positive. Got: -5.0."),
      ("max_checkpoints_to_keep", 0, "must be positive. Got: 0."),
      ("self_critical_samples", 0, "must be positive. Got: 0."),
      ("seed", 1.0, "must be of type int. Got: 1.0."),
      ("optimizer", "lion", "must be SGD, momentum or adam. Got: 'lion'."),
      ("momentum", 1.0, "must be in [0, 1). Got: 1.0."),
      ("learning_rate_decay_factor", 0.0, "must be positive. Got: 0.0."),
      ("initial_learning_rate", -2.0, "must not be negative. Got: -2.0."),
      (
          "train_inception_learning_rate",
          float("nan"),
          "must not be negative. Got: nan.",
      ),
      ("self_critical_learning_rate", -1.0, "must not be negative. Got: -1.0."),
      ("save_checkpoint_steps", -1, "must not be negative. Got: -1."),
      ("save_checkpoint_secs", -1.0, "must not be negative. Got: -1.0."),
      ("save_summaries_secs", -1.0, "must not be negative. Got: -1.0."),
      ("label_smoothing", 1.0, "must be in [0, 1). Got: 1.0."),
      ("ema_decay", -0.1, "must be in [0, 1). Got: -0.1."),
      ("ema_decay", float("nan"), "must be in [0, 1). Got: nan."),
      ("decoder_weight_decay", -1.0, "must not be negative. Got: -1.0."),
      (
          "scheduled_sampling",
          "cosine",
          "must be one of off, linear, exponential, inverse_sigmoid."
          " Got: 'cosine'.",
      ),
      ("scheduled_sampling_offset", 0.0, "must be positive. Got: 0.0."),
      ("scheduled_sampling_slope", -1.0, "must not be negative. Got: -1.0."),
      ("scheduled_sampling_base", 1.0, "must be in (0, 1). Got: 1.0."),
      ("scheduled_sampling_k", 0.5, "must be at least 1. Got: 0.5."),
      ("scheduled_sampling_minimum", 1.0, "must be in [0, 1). Got: 1.0."),
  )
  def test_invalid_values(self, name, value, message):
    with self.assertRaisesWithLiteralMatch(ValueError, f"{name} {message}"):
      configuration.TrainingConfig(**{name: value})


_DEFAULTS = configuration.ModelConfig(), configuration.TrainingConfig()


class OverridesTest(parameterized.TestCase):

  def test_values_of_both_configurations(self):
    model, training = configuration.apply_overrides(
        *_DEFAULTS, "batch_size=64, optimizer=adam,initial_learning_rate=1e-3"
    )
    self.assertEqual(configuration.ModelConfig(batch_size=64), model)
    self.assertEqual(
        configuration.TrainingConfig(
            optimizer="adam", initial_learning_rate=0.001
        ),
        training,
    )

  def test_no_overrides(self):
    self.assertEqual(_DEFAULTS, configuration.apply_overrides(*_DEFAULTS, ""))

  @parameterized.parameters(
      ("image_format=3", "3"),
      ("image_format=", ""),
      ("seed=-7", -7),
      ("momentum=3", 3.0),
      ("momentum=1e-3", 0.001),
      ("use_ema=true", True),
      ("use_ema=FALSE", False),
  )
  def test_parsed_value_has_the_type_of_its_field(self, overrides, expected):
    (value,) = configuration.parse_overrides(overrides).values()
    self.assertEqual(expected, value)
    self.assertIs(type(expected), type(value))

  @parameterized.parameters(
      ("seed=1.5", "seed must be of type int. Got: '1.5'."),
      ("seed=", "seed must be of type int. Got: ''."),
      ("momentum=many", "momentum must be of type float. Got: 'many'."),
      ("use_ema=1", "use_ema must be of type bool. Got: '1'."),
      ("use_ema=yes", "use_ema must be of type bool. Got: 'yes'."),
  )
  def test_text_of_another_type(self, overrides, message):
    with self.assertRaisesWithLiteralMatch(ValueError, message):
      configuration.parse_overrides(overrides)

  @parameterized.named_parameters(
      ("unknown", "batchsize=3", r"field: 'batchsize'.* batch_size, .*, seed,"),
      ("no_value", "batch_size", "form field=value. Got: 'batch_size'"),
      ("type", "batch_size=many", "type int. Got: 'many'"),
      ("negative", "batch_size=-1", "batch_size must be positive. Got: -1"),
      ("training", "label_smoothing=1", r"must be in \[0, 1\). Got: 1.0"),
  )
  def test_invalid_overrides(self, overrides, message):
    with self.assertRaisesRegex(ValueError, message):
      configuration.apply_overrides(*_DEFAULTS, overrides)

  def test_replace(self):
    self.assertEqual(
        (
            configuration.ModelConfig(image_height=75, resize_height=80),
            configuration.TrainingConfig(seed=3),
        ),
        # 80 would be invalid with the old image_height.
        configuration.replace(
            configuration.ModelConfig(image_height=400, resize_height=400),
            configuration.TrainingConfig(),
            {"image_height": 75, "seed": 3, "resize_height": 80},
        ),
    )

  def test_no_field_of_one_configuration_is_in_the_other(self):
    # Or else a name in the overrides would be ambiguous.
    model, training = map(dataclasses.asdict, _DEFAULTS)
    self.assertEmpty(model.keys() & training.keys())


class JsonTest(parameterized.TestCase):

  def test_round_trip(self):
    configs = (
        configuration.ModelConfig(batch_size=64, image_format="png"),
        configuration.TrainingConfig(seed=3),
    )
    self.assertEqual(
        configs, configuration.from_json(configuration.to_json(*configs))
    )

  def test_missing_fields_have_their_defaults(self):
    model, training = configuration.from_json('{"model": {"vocab_size": 9}}')
    self.assertEqual(configuration.ModelConfig(vocab_size=9), model)
    self.assertEqual(configuration.TrainingConfig(), training)

  @parameterized.named_parameters(
      ("not_json", "batch_size: 3", "Expecting value"),
      ("not_an_object", "[]", "be a JSON object with .* Got: .\\[\\]."),
      ("other", '{"architectures": ["X"]}', "be a JSON object with .mod"),
      ("no_fields", '{"model": []}', "fields of ModelConfig must .* Got: .."),
      ("null", '{"training": null}', "TrainingConfig must .* Got: None"),
      ("unknown_field", '{"model": {"layers": 3}}', "ModelConfig: layers. The"),
      ("wrong_type", '{"model": {"vocab_size": "9"}}', "type int. Got: '9'"),
  )
  def test_invalid_json(self, text, message):
    with self.assertRaisesRegex(ValueError, message):
      configuration.from_json(text)

  def test_text_is_readable(self):
    text = configuration.to_json(*_DEFAULTS)
    self.assertEqual(512, json.loads(text)["model"]["embedding_size"])
    self.assertIn('\n    "batch_size": 32,\n', text)


class MarkdownTest(absltest.TestCase):

  def test_table(self):
    lines = configuration.to_markdown(
        configuration.ModelConfig(batch_size=7), configuration.TrainingConfig()
    ).splitlines()
    self.assertEqual("| of | field | value |", lines[0])
    self.assertIn("| model | batch_size | 7 |", lines)
    self.assertIn("| training | clip_gradients | 5.0 |", lines)


if __name__ == "__main__":
  absltest.main()
