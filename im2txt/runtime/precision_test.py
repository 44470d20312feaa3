"""Tests of precision."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import networks
from im2txt.ops import inputs
from im2txt.runtime import precision
from im2txt.testing import tiny
from im2txt.training import trainers


class PrecisionTest(parameterized.TestCase):

  def _cpuinfo(self, flags, vendor="GenuineIntel"):
    return self.create_tempfile(
        content=f"vendor_id : {vendor}\nflags : {flags}\n"
    ).full_path

  def test_unknown_precision(self):
    with self.assertRaisesRegex(ValueError, "float32 and bfloat16. Got: 'f'"):
      precision.check("f")

  @parameterized.parameters(
      ("AuthenticAMD", "fpu avx512f"),
      ("GenuineIntel", "fpu avx512f"),
      ("GenuineIntel", "fpu avx512_bf16"),
  )
  def test_warns_if_bfloat16_is_not_fast(self, vendor, flags):
    with self.assertLogs("absl", "WARNING") as logs:
      precision.check("bfloat16", cpuinfo=self._cpuinfo(flags, vendor))
    self.assertIn("no fast instructions for bfloat16", logs.output[0])

  @parameterized.parameters(
      ("bfloat16", "AuthenticAMD", "fpu avx512_bf16"),
      ("bfloat16", "GenuineIntel", "fpu avx512_bf16 amx_bf16"),
      ("bfloat16", "ARM", "fp asimd bf16"),
      ("float32", "GenuineIntel", "fpu avx512f"),
  )
  def test_silent_otherwise(self, name, vendor, flags):
    with self.assertNoLogs("absl", "WARNING"):
      precision.check(name, cpuinfo=self._cpuinfo(flags, vendor))

  def test_silent_where_nothing_is_known(self):
    with self.assertNoLogs("absl", "WARNING"):
      precision.check("bfloat16", cpuinfo="/no/such/file")


def _batch():
  captions = tf.ragged.constant(tiny.captions(4), tf.int64)
  return inputs.make_batch(
      tf.ones([4, tiny.FEATURE_SIZE]),
      captions.to_tensor(),
      captions.row_lengths(),
  )


class MixedPrecisionTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(
      ("float32", [], tf.float32),
      ("bfloat16", [], tf.bfloat16),
      ("float16", [], tf.float32),
      ("bfloat16", ["GPU:0"], tf.bfloat16),
      ("float16", ["GPU:0"], tf.float16),
  )
  def test_training_dtype(self, name, gpus, expected):
    with mock.patch.object(
        tf.config, "list_physical_devices", return_value=gpus
    ):
      self.assertEqual(expected, precision.training_dtype(name))

  def test_unknown_precision(self):
    with self.assertRaisesRegex(ValueError, "bfloat16, float16. Got: 'f'"):
      precision.training_dtype("f")

  @mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder)
  def test_training_descends_and_variables_stay_float32(self):
    trainer = trainers.Trainer(
        tiny.CONFIG,
        configuration.TrainingConfig(
            optimizer="adam", initial_learning_rate=0.01
        ),
        trainers.StepOptions(compute_dtype=tf.bfloat16),
    )
    batch = _batch()
    spec = tf.nest.map_structure(tf.TensorSpec.from_tensor, batch)
    step = trainer.step_function(spec)
    losses = [float(step(batch).batch_loss) for _ in range(30)]
    self.assertAllClose(np.log(tiny.VOCAB_SIZE), losses[0], atol=0.1)
    self.assertLess(losses[-1], 0.9 * losses[0])
    for name, variable in trainer.checkpoint_variables().items():
      if name != "global_step":
        self.assertEqual(tf.float32, variable.dtype, name)


class Float16Test(tf.test.TestCase):

  def _trainer(self, initial_scale):
    self.enter_context(
        mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder)
    )
    self.enter_context(
        mock.patch.object(precision, "_INITIAL_SCALE", initial_scale)
    )
    return trainers.Trainer(
        tiny.CONFIG,
        configuration.TrainingConfig(
            optimizer="adam", initial_learning_rate=0.01
        ),
        trainers.StepOptions(compute_dtype=tf.float16),
    )

  def _steps(self, trainer, count, feature=1.0):
    captions = tf.ragged.constant(tiny.captions(4), tf.int64)
    batch = inputs.make_batch(
        tf.fill([4, tiny.FEATURE_SIZE], feature),
        captions.to_tensor(),
        captions.row_lengths(),
    )
    spec = tf.nest.map_structure(tf.TensorSpec.from_tensor, batch)
    step = trainer.step_function(spec)
    return [step(batch) for _ in range(count)]

  def test_is_float32_where_there_is_no_gpu(self):
    with self.assertLogs("absl", "WARNING") as logs:
      self.assertEqual(tf.float32, precision.training_dtype("float16"))
    self.assertIn("float16 needs a GPU", logs.output[0])

  def test_scale_changes_no_step(self):
    scaled, plain = (
        self._steps(self._trainer(scale), 3) for scale in (2.0**15, 1.0)
    )
    for one, other in zip(scaled, plain, strict=True):
      self.assertAllClose(one.total_loss, other.total_loss)
      self.assertAllClose(one.gradient_norm, other.gradient_norm)

  def test_step_that_overflows_is_left_out(self):
    trainer = self._trainer(2.0**15)
    bias = trainer.model.decoder.logits_biases
    earlier = bias.numpy()
    (metrics,) = self._steps(trainer, 1, feature=float("nan"))
    self.assertEqual(0, metrics.gradient_norm)
    self.assertAllEqual(earlier, bias)
    self.assertAllClose(0.9, trainer.optimizer.slots["beta1_power"])
    variables = trainer.checkpoint_variables()
    self.assertAllEqual(2.0**14, variables["loss_scale"])
    # The batch is consumed nevertheless.
    self.assertEqual(1, trainer.global_step)
    self.assertGreater(self._steps(trainer, 30)[-1].gradient_norm, 0)
    self.assertNotAllEqual(earlier, bias)

  def test_divergence_is_seen(self):
    trainer = self._trainer(1.0)
    (metrics,) = self._steps(trainer, 1, feature=float("nan"))
    self.assertFalse(np.isfinite(metrics.gradient_norm))

  def test_doubled_after_many_steps(self):
    self.enter_context(mock.patch.object(precision, "_STEPS_UNTIL_DOUBLED", 2))
    scale = precision.LossScale(8.0)
    factors = []
    for is_finite in (True, True, False, True, True):
      scale.update(tf.constant(is_finite))
      factors.append(float(scale.factor))
    self.assertEqual([8.0, 16.0, 8.0, 8.0, 16.0], factors)


if __name__ == "__main__":
  absltest.main()
