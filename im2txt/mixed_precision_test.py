"""Tests of training in bfloat16."""

from unittest import mock

import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import encoders
from im2txt import mixed_precision
from im2txt import training
from im2txt.ops import inputs
from im2txt.testing import tiny


def _product(x):
  # Not two constants, whose product the optimizer would compute itself.
  return tf.function(lambda x: tf.matmul(x, x), autograph=False)(x)


class MixedPrecisionTest(tf.test.TestCase):

  def tearDown(self):
    mixed_precision.use("float32")
    super().tearDown()

  def test_unknown_precision(self):
    with self.assertRaisesRegex(ValueError, "bfloat16, float16. Got: 'f'"):
      mixed_precision.use("f")

  def test_float32_is_exact(self):
    mixed_precision.use("float32")
    x = np.random.default_rng(1).normal(size=[64, 64]).astype(np.float32)
    self.assertAllClose(x @ x, _product(tf.constant(x)), atol=1e-4)

  @mock.patch.object(encoders, "make_encoder", tiny.FeatureEncoder)
  def test_training_descends_and_variables_stay_float32(self):
    mixed_precision.use("bfloat16")
    trainer = training.Trainer(
        tiny.CONFIG,
        configuration.TrainingConfig(
            optimizer="adam", initial_learning_rate=0.01
        ),
    )
    captions = tf.ragged.constant(tiny.captions(4), tf.int64)
    batch = inputs.make_batch(
        tf.ones([4, tiny.FEATURE_SIZE]),
        captions.to_tensor(),
        captions.row_lengths(),
    )
    spec = tf.nest.map_structure(tf.TensorSpec.from_tensor, batch)
    step = trainer.step_function(spec)
    losses = [float(step(batch).batch_loss) for _ in range(30)]
    self.assertAllClose(np.log(tiny.VOCAB_SIZE), losses[0], atol=0.1)
    self.assertLess(losses[-1], 0.9 * losses[0])
    for name, variable in trainer.checkpoint_variables().items():
      if name != "global_step":
        self.assertEqual(tf.float32, variable.dtype, name)


if __name__ == "__main__":
  tf.test.main()
