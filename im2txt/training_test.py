"""Tests of the training step."""

import dataclasses
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import encoders
from im2txt import training
from im2txt.ops import inputs
from im2txt.testing import tiny

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
  """The metrics of so many steps on the same batch."""
  spec = tf.nest.map_structure(tf.TensorSpec.from_tensor, batch)
  step = trainer.step_function(spec)
  return [step(batch) for _ in range(count)]


def _trainer(model_config=_CONFIG, **training_fields):
  return training.Trainer(
      model_config, configuration.TrainingConfig(**training_fields)
  )


class TrainerTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(
        mock.patch.object(encoders, "make_encoder", tiny.FeatureEncoder)
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

  def test_slots_are_saved(self):
    trainer = _trainer(optimizer="momentum")
    slots = set(trainer.checkpoint_variables()).difference(
        trainer.model.checkpoint_variables()
    )
    self.assertLen(slots, 6)


class EncoderTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters((False, 2.0), (True, 0.0005))
  def test_is_trained_only_in_fine_tuning(self, train_inception, rate):
    trainer = training.Trainer(
        _CONFIG,
        configuration.TrainingConfig(),
        train_inception=train_inception,
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
      name = f"InceptionV3/Mixed_7c/Branch_0/Conv2d_0a_1x1/{kind}"
      changed = np.any(earlier[name] != variables[name].numpy())
      self.assertEqual(train_inception, changed, name)


class MirroredTest(tf.test.TestCase):

  @mock.patch.object(encoders, "make_encoder", tiny.FeatureEncoder)
  def test_two_replicas_step_as_one_device(self):
    batch = _batch(4)
    single = _trainer(optimizer="momentum", initial_learning_rate=0.1)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    mirrored = training.Trainer(
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


if __name__ == "__main__":
  tf.test.main()
