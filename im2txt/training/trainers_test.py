"""Tests of the training step."""

import dataclasses
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import networks
from im2txt.ops import inputs
from im2txt.testing import shallow_inception
from im2txt.testing import tiny
from im2txt.training import trainers

# Without dropout the losses can be compared.
_CONFIG = dataclasses.replace(tiny.CONFIG, lstm_dropout_keep_prob=1.0)


def setUpModule():
  cpus = tf.config.list_physical_devices("CPU")
  tf.config.set_logical_device_configuration(
      cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
  )


def _batch(num_examples=4):
  captions = tiny.captions(num_examples)
  padded = np.zeros([num_examples, max(map(len, captions))], np.int64)
  for row, caption in zip(padded, captions, strict=True):
    row[: len(caption)] = caption
  features = np.random.default_rng(5).normal(
      size=[num_examples, tiny.FEATURE_SIZE]
  )
  return inputs.make_batch(
      tf.constant(features, tf.float32),
      tf.constant(padded),
      tf.constant([len(caption) for caption in captions]),
  )


def _steps(trainer, batch, count=1):
  """Returns the metrics of steps on the same batch."""
  spec = tf.nest.map_structure(tf.TensorSpec.from_tensor, batch)
  step = trainer.step_function(spec)
  return [step(batch) for _ in range(count)]


def _trainer(model_config=_CONFIG, **training_fields):
  return trainers.Trainer(
      model_config, configuration.TrainingConfig(**training_fields)
  )


class TrainerTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(
        mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder)
    )

  @parameterized.parameters(("sgd", 0.5), ("momentum", 0.1), ("adam", 0.01))
  def test_loss_falls(self, optimizer, rate):
    trainer = _trainer(optimizer=optimizer, initial_learning_rate=rate)
    losses = [m.batch_loss for m in _steps(trainer, _batch(), 20)]
    self.assertAllClose(np.log(tiny.VOCAB_SIZE), losses[0], atol=0.1)
    self.assertLess(losses[-1], 0.9 * losses[0])
    self.assertEqual(20, trainer.global_step)

  def test_sgd_step_is_the_clipped_gradient(self):
    trainer = _trainer(initial_learning_rate=0.5, clip_gradients=0.01)
    variables = trainer.model.trainable_variables_by_name()
    earlier = {name: variable.numpy() for name, variable in variables.items()}
    (metrics,) = _steps(trainer, _batch())
    moved = sum(
        np.sum((earlier[name] - variable.numpy()) ** 2)
        for name, variable in variables.items()
        if name != "seq_embedding/map"  # Whose rows are counted one by one.
    )
    self.assertGreater(metrics.gradient_norm, 0.01)
    self.assertAllClose(0.01, metrics.clipped_gradient_norm)
    self.assertBetween(np.sqrt(moved), 0.4 * 0.01, 0.5 * 0.01)

  def test_staircase_decay(self):
    trainer = _trainer()
    # 146590 = int(586363 / 32 * 8), as released; the batch here is 4.
    decay_steps = int(586363 / 4 * 8)
    rates = [
        float(trainer.learning_rate(tf.constant(step)))
        for step in (0, decay_steps - 1, decay_steps, 2 * decay_steps)
    ]
    self.assertAllClose([2.0, 2.0, 1.0, 0.5], rates)

  def test_dropout_follows_seed_and_step(self):
    # At rate 0 only the dropout changes from step to step.
    losses = []
    for seed in (1, 1, 2):
      trainer = _trainer(tiny.CONFIG, seed=seed, initial_learning_rate=0.0)
      losses.append([m.batch_loss for m in _steps(trainer, _batch(), 2)])
    self.assertAllEqual(losses[0], losses[1])
    self.assertNotAllClose(losses[0], losses[2])
    self.assertNotAllClose(losses[0][0], losses[0][1])

  @parameterized.named_parameters(
      ("sgd", "SGD", 0.5, [2.484143, 2.444571, 2.408309, 2.374622]),
      ("momentum", "momentum", 0.1, [2.484143, 2.476340, 2.461370, 2.440186]),
      ("adam", "adam", 0.01, [2.484143, 2.473172, 2.462984, 2.446213]),
  )
  def test_losses_are_those_of_ever(self, optimizer, rate, expected):
    # With dropout, and nothing on that the original does not have.
    trainer = _trainer(
        tiny.CONFIG, optimizer=optimizer, initial_learning_rate=rate
    )
    metrics = _steps(trainer, _batch(), 4)
    self.assertAllClose(expected, [m.batch_loss for m in metrics], atol=2e-6)
    self.assertAllEqual(metrics[3].batch_loss, metrics[3].total_loss)
    self.assertEmpty(metrics[3].measures)

  def test_seed_of_any_size(self):
    for seed in (-1, 2**31, 2**62):
      (metrics,) = _steps(_trainer(tiny.CONFIG, seed=seed), _batch())
      self.assertAllClose(np.log(tiny.VOCAB_SIZE), metrics.batch_loss, atol=0.1)

  def test_slots_are_saved(self):
    trainer = _trainer(optimizer="momentum")
    slots = set(trainer.checkpoint_variables()).difference(
        trainer.model.checkpoint_variables()
    )
    self.assertLen(slots, 6)


class RecipeTest(parameterized.TestCase, tf.test.TestCase):
  """Tests of training options that the original does not have."""

  def setUp(self):
    super().setUp()
    self.enter_context(
        mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder)
    )

  def test_scheduled_sampling(self):
    fields = {
        "initial_learning_rate": 0.0,
        "scheduled_sampling": "linear",
        "scheduled_sampling_slope": 0.5,
    }
    trainer = _trainer(**fields)
    # Words as large as these make what is fed matter.
    trainer.model.decoder.word_embedding.assign(
        100 * trainer.model.decoder.word_embedding
    )
    metrics = _steps(trainer, _batch(), 5)
    self.assertAllClose(
        [0.0, 0.5, 1.0, 1.0, 1.0],
        [m.measures[trainers.SAMPLING_PROBABILITY] for m in metrics],
    )
    # The weights stay, so the losses differ by the words alone.
    self.assertLen({float(m.batch_loss) for m in metrics}, 5)
    # A run that is resumed draws what it would have drawn.
    resumed = _trainer(**fields)
    for name, variable in resumed.checkpoint_variables().items():
      variable.assign(trainer.checkpoint_variables()[name])
    resumed.model.global_step.assign(3)
    self.assertAllEqual(
        [m.batch_loss for m in metrics[3:]],
        [m.batch_loss for m in _steps(resumed, _batch(), 2)],
    )

  def test_label_smoothing_is_minimized_and_not_reported(self):
    rate = {"initial_learning_rate": 0.5}
    plain = _steps(_trainer(**rate), _batch(), 2)
    smoothed = _steps(_trainer(label_smoothing=0.5, **rate), _batch(), 2)
    self.assertAllEqual(plain[0].batch_loss, smoothed[0].batch_loss)
    self.assertNotAllClose(smoothed[0].batch_loss, smoothed[0].total_loss)
    self.assertGreater(smoothed[1].batch_loss, plain[1].batch_loss)
    self.assertLess(smoothed[1].total_loss, smoothed[0].total_loss)

  def test_weight_decay_of_kernels(self):
    trainer = _trainer(
        initial_learning_rate=0.5,
        decoder_weight_decay=0.2,
        clip_gradients=1e-30,
    )
    variables = trainer.model.trainable_variables_by_name()
    earlier = {name: variable.numpy() for name, variable in variables.items()}
    _steps(trainer, _batch())
    for name, variable in variables.items():
      is_kernel = name.endswith(("weights", "kernel"))
      kept = 1 - 0.5 * 0.2 if is_kernel else 1
      self.assertAllClose(kept * earlier[name], variable, 1e-6, msg=name)

  def test_average_of_weights(self):
    trainer = _trainer(ema_decay=0.9, initial_learning_rate=0.5)
    name = "lstm/basic_lstm_cell/bias"
    bias = trainer.model.decoder.lstm_bias
    average = trainer.checkpoint_variables()[f"{name}/ExponentialMovingAverage"]
    _steps(trainer, _batch())
    first = bias.numpy()
    # Of the first value, zero, a tenth is kept: (1 + 0) / (10 + 0).
    self.assertAllClose(0.9 * first, average)
    _steps(trainer, _batch())
    kept = 2 / 11
    self.assertAllClose(kept * 0.9 * first + (1 - kept) * bias.numpy(), average)
    self.assertNotAllClose(first, bias)

  def test_without_average_there_are_no_variables_for_it(self):
    self.assertEmpty(_trainer().optional_variables())


class EncoderTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    shallow_inception.set_up(self)

  def test_learning_rate_of_its_own(self):
    pair = [
        trainers.Trainer(
            _CONFIG,
            configuration.TrainingConfig(inception_learning_rate_factor=factor),
            trainers.StepOptions(train_inception=True),
        )
        for factor in (1.0, 0.5)
    ]
    images = np.random.default_rng(6).uniform(-1, 1, [4, 75, 75, 3])
    batch = _batch()._replace(images=tf.constant(images, tf.float32))
    name = f"{shallow_inception.LAYER}/BatchNorm/beta"
    moved = []
    for trainer in pair:
      _steps(trainer, batch)
      # Both start at zero.
      beta = trainer.model.encoder.variables_by_name[name].numpy()
      moved.append([beta, trainer.model.decoder.logits_biases.numpy()])
    self.assertAllClose(0.5 * moved[0][0], moved[1][0], 1e-4)
    self.assertAllClose(moved[0][1], moved[1][1], 1e-4)
    self.assertGreater(np.abs(moved[0][0]).max(), 0)

  @parameterized.parameters((False, 2.0), (True, 0.0005))
  def test_is_trained_only_in_fine_tuning(self, train_inception, rate):
    trainer = trainers.Trainer(
        _CONFIG,
        configuration.TrainingConfig(),
        trainers.StepOptions(train_inception=train_inception),
    )
    variables = trainer.model.checkpoint_variables()
    earlier = {name: variable.numpy() for name, variable in variables.items()}
    images = np.random.default_rng(6).uniform(-1, 1, [4, 75, 75, 3])
    (metrics,) = _steps(
        trainer, _batch()._replace(images=tf.constant(images, tf.float32))
    )
    self.assertAllClose(rate, metrics.learning_rate)
    self.assertEqual(train_inception, metrics.total_loss > metrics.batch_loss)
    for kind in ("weights", "BatchNorm/beta", "BatchNorm/moving_mean"):
      name = f"{shallow_inception.LAYER}/{kind}"
      changed = np.any(earlier[name] != variables[name].numpy())
      self.assertEqual(train_inception, changed, name)


class MirroredTest(tf.test.TestCase):

  @mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder)
  def test_two_replicas_step_as_one_device(self):
    batch = _batch(4)
    single = _trainer(optimizer="momentum", initial_learning_rate=0.1)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    mirrored = trainers.Trainer(
        _CONFIG,
        configuration.TrainingConfig(
            optimizer="momentum", initial_learning_rate=0.1
        ),
        strategy=strategy,
    )
    dataset = tf.data.Dataset.from_tensors(batch).unbatch().batch(4).repeat()
    batches = iter(strategy.experimental_distribute_dataset(dataset))
    mirrored_step = mirrored.step_function(batches.element_spec)
    for expected in _steps(single, batch, 3):
      actual = mirrored_step(next(batches))
      self.assertAllClose(expected.batch_loss, actual.batch_loss, 1e-5)
      self.assertAllClose(expected.gradient_norm, actual.gradient_norm, 1e-4)
    self.assertEqual(3, mirrored.global_step)


class StepMetricsTest(absltest.TestCase):

  def _metrics(self, **values):
    return trainers.StepMetrics(*[tf.constant(1.0)] * 5, **values)

  def test_measures_text(self):
    metrics = self._metrics(
        measures={
            "self_critical/reward": tf.constant(0.51234),
            "self_critical/entropy": tf.constant(2.0),
        }
    )

    self.assertEqual(
        metrics.measures_text(), ", reward = 0.5123, entropy = 2.0000"
    )

  def test_without_measures(self):
    self.assertEqual(self._metrics().measures_text(), "")


if __name__ == "__main__":
  tf.test.main()
