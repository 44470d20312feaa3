"""Tests of the training configuration: what is released, what is refused."""

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.config import training_configuration


class TrainingConfigTest(parameterized.TestCase):

  def test_defaults_are_as_released(self):
    config = training_configuration.TrainingConfig()
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
    found = {name: getattr(config, name) for name in released}
    self.assertEqual(released, found)

  def test_what_the_original_lacks_is_off(self):
    config = training_configuration.TrainingConfig()
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
  )
  def test_bounds_that_are_taken(self, **values):
    config = training_configuration.TrainingConfig(**values)
    found = {name: getattr(config, name) for name in values}
    self.assertEqual(values, found)

  @parameterized.parameters(
      ("num_examples_per_epoch", 0, "must be positive. Got: 0."),
      ("num_epochs_per_decay", 0.0, "must be positive. Got: 0.0."),
      ("clip_gradients", -5.0, "must be positive. Got: -5.0."),
      ("max_checkpoints_to_keep", 0, "must be positive. Got: 0."),
      ("self_critical_samples", 0, "must be positive. Got: 0."),
      ("seed", 1.0, "takes a value of type int. Got: 1.0."),
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
      ("save_checkpoint_secs", -1.0, "must not be negative. Got: -1.0."),
      ("save_summaries_secs", -1.0, "must not be negative. Got: -1.0."),
      ("label_smoothing", 1.0, "must be in [0, 1). Got: 1.0."),
      ("ema_decay", -0.1, "must be in [0, 1). Got: -0.1."),
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
  def test_wrong_values(self, name, value, message):
    with self.assertRaisesWithLiteralMatch(ValueError, f"{name} {message}"):
      training_configuration.TrainingConfig(**{name: value})


if __name__ == "__main__":
  absltest.main()
