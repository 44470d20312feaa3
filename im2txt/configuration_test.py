"""Tests of the configuration."""

import json

from absl.testing import absltest
from absl.testing import parameterized

from im2txt import configuration


class ConfigurationTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.configs = (
        configuration.ModelConfig(),
        configuration.TrainingConfig(),
    )

  def test_overrides(self):
    model, training = configuration.apply_overrides(
        *self.configs,
        "batch_size=64, optimizer=adam,initial_learning_rate=1e-3",
    )
    self.assertEqual(64, model.batch_size)
    self.assertEqual(12000, model.vocab_size)
    self.assertEqual("adam", training.optimizer)
    self.assertEqual(1e-3, training.initial_learning_rate)

  def test_no_overrides(self):
    self.assertEqual(
        self.configs, configuration.apply_overrides(*self.configs, "")
    )

  @parameterized.named_parameters(
      ("unknown", "batchsize=3", r"called 'batchsize'.* batch_size, .*, seed,"),
      ("no_value", "batch_size", "form field=value. Got: 'batch_size'"),
      ("type", "batch_size=many", "type int. Got: 'many'"),
      ("negative", "batch_size=-1", "batch_size must be positive. Got: -1"),
      ("training", "label_smoothing=1", r"must be in \[0, 1\). Got: 1.0"),
  )
  def test_wrong_overrides(self, overrides, message):
    with self.assertRaisesRegex(ValueError, message):
      configuration.apply_overrides(*self.configs, overrides)

  def test_json_round_trip(self):
    configs = configuration.apply_overrides(
        *self.configs, "batch_size=64,seed=3,image_format=png"
    )
    self.assertEqual(
        configs, configuration.from_json(configuration.to_json(*configs))
    )

  def test_fields_that_json_lacks_keep_their_defaults(self):
    model, training = configuration.from_json('{"model": {"vocab_size": 9}}')
    self.assertEqual(configuration.ModelConfig(vocab_size=9), model)
    self.assertEqual(configuration.TrainingConfig(), training)

  @parameterized.named_parameters(
      ("no_json", "batch_size: 3", "Expecting value"),
      ("no_object", "[]", "is a JSON object with .* Got: .\\[\\]."),
      ("of_others", '{"architectures": ["X"]}', "is a JSON object with .mod"),
      ("no_fields", '{"model": []}', "fields of ModelConfig are .* Got: .."),
      ("null", '{"training": null}', "TrainingConfig are .* Got: None"),
      ("unknown_field", '{"model": {"layers": 3}}', "called .'layers'."),
      ("wrong_type", '{"model": {"vocab_size": "9"}}', "type int. Got: '9'"),
  )
  def test_wrong_json(self, text, message):
    with self.assertRaisesRegex(ValueError, message):
      configuration.from_json(text)

  def test_json_is_for_people_too(self):
    text = configuration.to_json(*self.configs)
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
