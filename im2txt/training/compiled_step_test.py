"""Tests of steps that XLA compiles."""

import dataclasses
from unittest import mock

from absl.testing import parameterized
import tensorflow as tf

from im2txt import configuration
from im2txt import networks
from im2txt.ops import inputs
from im2txt.testing import tiny
from im2txt.training import trainers

# Padded captions draw other random numbers, so dropout is off.
_CONFIG = dataclasses.replace(tiny.CONFIG, lstm_dropout_keep_prob=1.0)


def _batch(length, images=None):
  if images is None:
    images = tf.random.stateless_normal([2, tiny.FEATURE_SIZE], [1, 2])
  word_ids = tf.random.stateless_uniform(
      [2, length + 1], [3, length], 0, tiny.VOCAB_SIZE, tf.int64
  )
  mask = tf.sequence_mask([length, length - 1], length, tf.int32)
  return inputs.Batch(images, word_ids[:, :-1], word_ids[:, 1:], mask)


def _spec(batch):
  """Of batches with captions of any length."""
  words = {
      name: tf.TensorSpec([2, None], getattr(batch, name).dtype)
      for name in ("input_seqs", "target_seqs", "input_mask")
  }
  return inputs.Batch(tf.TensorSpec.from_tensor(batch.images), **words)


def _trainer(jit_compile, **training):
  return trainers.Trainer(
      _CONFIG,
      configuration.TrainingConfig(**training),
      trainers.StepOptions(
          jit_compile=jit_compile,
      ),
  )


class CompiledStepTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("likelihood", {}),
      ("scheduled_sampling", {"scheduled_sampling": "linear"}),
      ("averages_and_adam", {"ema_decay": 0.9, "optimizer": "adam"}),
      ("momentum", {"optimizer": "momentum", "label_smoothing": 0.1}),
  )
  def test_same_losses(self, training):
    self.enter_context(
        mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder)
    )
    losses = []
    for jit_compile in (False, True):
      trainer = _trainer(jit_compile, **training)
      step = trainer.step_function(_spec(_batch(5)))
      losses.append(
          [float(step(_batch(length)).batch_loss) for length in (5, 3, 5)]
      )
      self.assertEqual(3, trainer.global_step)
    self.assertAllClose(*losses, 1e-4)

  def test_same_losses_in_phase_2(self):
    images = tf.random.stateless_uniform([2, 75, 75, 3], [1, 2], -1, 1)
    config = dataclasses.replace(_CONFIG, inception_dropout_keep_prob=1.0)
    losses = []
    for jit_compile in (False, True):
      trainer = trainers.Trainer(
          config,
          configuration.TrainingConfig(),
          trainers.StepOptions(jit_compile=jit_compile, train_inception=True),
      )
      batch = _batch(4, images)
      step = trainer.step_function(_spec(batch))
      losses.append([float(step(batch).total_loss) for _ in range(2)])
      if jit_compile:
        self._check_captures(trainer, batch)
    self.assertAllClose(*losses, 1e-3)

  @parameterized.named_parameters(
      ("likelihood", {}),
      ("scheduled_sampling", {"scheduled_sampling": "linear"}),
      ("averages_and_adam", {"ema_decay": 0.9, "optimizer": "adam"}),
  )
  def test_no_integer_variable_is_compiled(self, training):
    self.enter_context(
        mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder)
    )
    self._check_captures(_trainer(True, **training), _batch(5))

  def test_loss_scale_is_not_compiled(self):
    self.enter_context(
        mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder)
    )
    trainer = trainers.Trainer(
        _CONFIG,
        configuration.TrainingConfig(),
        trainers.StepOptions(jit_compile=True, scale_loss=True),
    )
    self._check_captures(trainer, _batch(5), scale=tf.constant(2.0))
    step = trainer.step_function(_spec(_batch(5)))
    step(_batch(5))
    variables = trainer.checkpoint_variables()
    self.assertEqual(1, int(variables["loss_scale/steps"]))

  def _check_captures(self, trainer, batch, scale=None):
    """Checks that what XLA compiles touches no integer variable."""
    compiled = trainer.compute.get_concrete_function(
        batch, tf.constant(0), scale
    )
    captured = {id(tensor) for tensor, _ in compiled.graph.captures}
    variables = trainer.checkpoint_variables()
    handles = {
        name: variable
        for name, variable in variables.items()
        if id(variable.handle) in captured
    }
    self.assertNotEmpty(handles)
    for name, variable in handles.items():
      self.assertTrue(variable.dtype.is_floating, name)
    # Functions that it calls get all resources from it, as arguments.
    for function in compiled.graph.as_graph_def().library.function:
      for node in function.node_def:
        self.assertNotEqual("VarHandleOp", node.op, function.signature.name)

  def test_compiles_once_for_lengths_that_are_alike(self):
    self.enter_context(
        mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder)
    )
    trainer = _trainer(True)
    step = trainer.step_function(_spec(_batch(5)))
    with self.assertLogs("absl", "INFO") as logs:
      for length in (3, 5, 16, 17, 4, 30):
        step(_batch(length))
    compilations = [line for line in logs.output if "XLA compiles" in line]
    self.assertLen(compilations, 2)
    self.assertIn("captions of 16 words", compilations[0])
    self.assertIn("captions of 32 words", compilations[1])
    self.assertRegex(logs.output[1], r"Compiled in \d+\.\d s\.")

  @parameterized.parameters(True, False)
  def test_where_xla_can_not_compile(self, must_compile):
    self.enter_context(
        mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder)
    )
    trainer = trainers.Trainer(
        _CONFIG,
        configuration.TrainingConfig(),
        trainers.StepOptions(jit_compile=True, must_compile=must_compile),
    )

    def fail(*arguments):
      del arguments
      raise tf.errors.InvalidArgumentError(None, None, "No XLA here.")

    trainer.compute = fail
    step = trainer.step_function(_spec(_batch(5)))
    if must_compile:
      with self.assertRaisesRegex(tf.errors.OpError, "No XLA here"):
        step(_batch(5))
      self.assertEqual(0, trainer.global_step)
      return
    with self.assertLogs("absl", "WARNING") as logs:
      step(_batch(5))
    self.assertRegex(logs.output[0], "XLA is not used, .*No XLA here")
    step(_batch(3))
    self.assertEqual(2, trainer.global_step)


if __name__ == "__main__":
  tf.test.main()
