"""Tests of training steps that XLA compiles."""

import dataclasses
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import networks
from im2txt.inference_utils import vocabulary
from im2txt.ops import image_inputs
from im2txt.ops import inputs
from im2txt.testing import made_up_features
from im2txt.testing import shallow_inception
from im2txt.testing import tiny
from im2txt.training import self_critical
from im2txt.training import trainers
from im2txt.training import xla

# XLA draws other random numbers, so dropout is off.
_CONFIG = dataclasses.replace(
    tiny.CONFIG, lstm_dropout_keep_prob=1.0, inception_dropout_keep_prob=1.0
)
_ARITHMETIC = ("MatMul", "Conv", "Softmax")


def _images(are_features=True):
  if are_features:
    return tf.random.stateless_normal([2, tiny.FEATURE_SIZE], [1, 2])
  return tf.random.stateless_uniform([2, 75, 75, 3], [1, 2], -1, 1)


def _batch(length, are_features=True):
  word_ids = tf.random.stateless_uniform(
      [2, length + 1], [3, length], 0, tiny.VOCAB_SIZE, tf.int64
  )
  mask = tf.sequence_mask([length, length - 1], length, tf.int32)
  images = _images(are_features)
  return inputs.Batch(images, word_ids[:, :-1], word_ids[:, 1:], mask)


def _spec(batch):
  """Returns the specification of batches with captions of any length."""
  words = {
      name: tf.TensorSpec([2, None], getattr(batch, name).dtype)
      for name in ("input_seqs", "target_seqs", "input_mask")
  }
  return inputs.Batch(tf.TensorSpec.from_tensor(batch.images), **words)


def _trainer(jit_compile=True, options=(), **training):
  return trainers.Trainer(
      _CONFIG,
      configuration.TrainingConfig(**training),
      trainers.StepOptions(jit_compile=jit_compile, **dict(options)),
  )


def _traced(trainer, spec):
  """Returns the graph of a step."""
  return trainer._traced_step(spec).get_concrete_function().graph


class CompiledTestCase(parameterized.TestCase, tf.test.TestCase):

  def use_features(self):
    self.enter_context(
        mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder)
    )

  def self_critical(self, **training):
    """Returns an objective of samples, and a batch for it."""
    folder = self.create_tempdir().full_path
    vocab = vocabulary.Vocabulary(tiny.write_vocabulary(folder))
    with made_up_features.accepted():
      data = self_critical.read_images(made_up_features.write(folder, 6), vocab)
    config = configuration.TrainingConfig(**training)
    return (
        self_critical.SelfCritical(data, vocab, config),
        image_inputs.ImageBatch(_images(), tf.constant([4, 2], tf.int64)),
    )

  def check_graph(self, graph):
    """Checks what XLA compiles of a step.

    It holds all of the arithmetic, no shape that depends on values, and no
    integer variable.

    Args:
      graph: The graph of the step.

    Returns:
      The compiled functions that the graph calls.
    """
    library = {
        function.signature.name: function
        for function in graph.as_graph_def().library.function
    }
    captured = {
        id(placeholder): handle for handle, placeholder in graph.captures
    }
    num_variables = 0
    compiled = []
    for op in graph.get_operations():
      self.assertFalse(op.type.startswith(_ARITHMETIC), op.name)
      if "PartitionedCall" not in op.type:
        continue
      compiled.append(library[op.get_attr("f").name])
      self.assertTrue(compiled[-1].attr["_XlaMustCompile"].b, op.name)
      for tensor in op.inputs:
        if tensor.dtype == tf.resource:
          (value,) = captured[id(tensor)]._handle_data.shape_and_type
          self.assertEqual(tf.float32, tf.as_dtype(value.dtype))
          num_variables += 1
    self.assertGreater(num_variables, 6)
    for function in compiled:
      for node in function.node_def:
        self.assertNotIn(node.op, ("Where", "VarHandleOp"))
    return compiled


class StepTest(CompiledTestCase):

  @parameterized.named_parameters(
      ("likelihood", {}),
      ("averages_and_adam", {"ema_decay": 0.9, "optimizer": "adam"}),
      ("momentum", {"optimizer": "momentum", "label_smoothing": 0.1}),
      ("float16", {}, tf.float16),
      ("bfloat16", {}, tf.bfloat16),
  )
  def test_same_losses(self, training, dtype=tf.float32):
    self.use_features()
    losses = []
    for jit_compile in (False, True):
      options = {"compute_dtype": dtype}
      trainer = _trainer(jit_compile, options, **training)
      step = trainer.step_function(_spec(_batch(5)))
      metrics = [step(_batch(length)) for length in (5, 3, 5)]
      losses.append([m.total_loss for m in metrics])
      self.assertEqual(3, trainer.global_step)
      norms = [m.gradient_norm for m in metrics]
      self.assertAllGreater(norms, 0)
    self.assertAllClose(*losses, 1e-4 if dtype == tf.float32 else 1e-2)

  @parameterized.parameters(tf.float32, tf.bfloat16)
  def test_same_losses_in_phase_2(self, dtype):
    shallow_inception.set_up(self)
    batch = _batch(4, are_features=False)
    losses = []
    for jit_compile in (False, True):
      trainer = _trainer(
          jit_compile, {"train_inception": True, "compute_dtype": dtype}
      )
      step = trainer.step_function(_spec(batch))
      losses.append([float(step(batch).total_loss) for _ in range(3)])
    self.assertAllClose(*losses, 1e-3 if dtype == tf.float32 else 1e-2)
    self.assertLess(losses[1][2], losses[1][0])

  def test_scheduled_sampling(self):
    # At rate 0 only the sampled words change from step to step.
    self.use_features()
    fields = {
        "initial_learning_rate": 0.0,
        "scheduled_sampling": "linear",
        "scheduled_sampling_slope": 0.5,
    }
    losses = []
    for jit_compile in (False, True):
      trainer = _trainer(jit_compile, **fields)
      # Words as large as these make what is fed matter.
      words = trainer.model.decoder.variables_by_name["seq_embedding/map"]
      words.assign(100 * words)
      step = trainer.step_function(_spec(_batch(5)))
      losses.append([float(step(_batch(5)).batch_loss) for _ in range(3)])
    self.assertAllClose(losses[0][0], losses[1][0], 1e-4)
    self.assertLen(set(losses[1]), 3)

  def test_self_critical(self):
    self.use_features()
    fields = {"optimizer": "adam", "self_critical_samples": 4}
    objective, batch = self.self_critical(
        self_critical_learning_rate=0.02, **fields
    )
    trainer = _trainer(options={"objective": objective}, **fields)
    spec = tf.nest.map_structure(tf.TensorSpec.from_tensor, batch)
    step = trainer.step_function(spec)
    rewards = []
    with self.assertLogs("absl", "INFO") as logs:
      for _ in range(60):
        measures = step(batch).measures
        rewards.append(measures["self_critical/reward"])
    self.assertIn("XLA compiles the step.", logs.output[0])
    self.assertGreater(np.mean(rewards[-10:]), np.mean(rewards[:10]) + 0.1)
    self.assertBetween(measures["self_critical/length"], 1, 20)


class GraphTest(CompiledTestCase):

  @parameterized.named_parameters(
      ("likelihood", {}),
      ("scheduled_sampling", {"scheduled_sampling": "linear"}),
      ("averages_and_adam", {"ema_decay": 0.9, "optimizer": "adam"}),
      ("loss_scale", {}, tf.float16),
  )
  def test_cached_features(self, training, dtype=tf.float32):
    self.use_features()
    trainer = _trainer(options={"compute_dtype": dtype}, **training)
    compiled = self.check_graph(_traced(trainer, _spec(_batch(5))))
    # The losses, their gradient, and the update.
    self.assertLen(compiled, 3)

  @parameterized.parameters((False, 4), (True, 5))
  def test_images(self, train_inception, num_functions):
    shallow_inception.set_up(self)
    trainer = _trainer(options={"train_inception": train_inception})
    spec = _spec(_batch(5, are_features=False))
    compiled = self.check_graph(_traced(trainer, spec))
    self.assertLen(compiled, num_functions)
    # What does not depend on the length of captions is compiled once.
    for function in compiled:
      ops = {node.op for node in function.node_def}
      self.assertFalse("Conv2D" in ops and "While" in ops)

  @parameterized.parameters(1, 2)
  def test_self_critical(self, num_samples):
    self.use_features()
    objective, batch = self.self_critical(self_critical_samples=num_samples)
    trainer = _trainer(options={"objective": objective})
    spec = tf.nest.map_structure(tf.TensorSpec.from_tensor, batch)
    compiled = self.check_graph(_traced(trainer, spec))
    self.assertLen(compiled, 4 if num_samples > 1 else 5)


class CompiledStepTest(CompiledTestCase):

  def test_compiles_once_for_lengths_that_are_alike(self):
    self.use_features()
    step = _trainer().step_function(_spec(_batch(5)))
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
    self.use_features()
    trainer = _trainer(options={"must_compile": must_compile})

    def compiled(function, jit_compile):
      def fail(*arguments, **options):
        raise tf.errors.InvalidArgumentError(None, None, "No XLA here.")

      return fail if jit_compile else function

    self.enter_context(mock.patch.object(xla, "compiled", compiled))
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
