"""Smoke tests of the benchmarks of training."""

import os
import re
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from benchmarks import decoder_step
from im2txt import configuration
from im2txt.ops import caption_decoder

_TINY = (
    "--config_overrides=vocab_size=50,embedding_size=8,num_lstm_units=8,"
    "batch_size=4,shuffle_buffer_size=8,image_height=75,image_width=75,"
    "resize_height=80,resize_width=80"
)


def _run(name, *arguments):
  return subprocess.run(
      [sys.executable, "-m", f"benchmarks.{name}", *arguments],
      env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
      capture_output=True,
      check=False,
      text=True,
  )


class TrainingBenchmarksTest(parameterized.TestCase):

  def test_decoder_step_plots(self):
    path = os.path.join(self.create_tempdir().full_path, "plot.png")
    ran = _run(
        "decoder_step", _TINY, "--steps=1", "--rounds=1", f"--plot={path}"
    )
    self.assertEqual(0, ran.returncode, ran.stderr)
    self.assertIn("| plain, 12 words |", ran.stdout)
    self.assertIn("| ours, 100 words |", ran.stdout)
    self.assertTrue(os.path.exists(path))

  @parameterized.parameters(("cached", 1_000), ("phase 2", 3_000))
  def test_operations_of_a_step(self, variant, most):
    ran = _run("step_operations", f"--variants={variant}", "--batch_size=1")
    self.assertEqual(0, ran.returncode, ran.stderr)
    match = re.search(rf"\| {variant} \| ([\d,]+) \|", ran.stdout)
    self.assertIsNotNone(match, ran.stdout)
    # A loop that TensorFlow differentiates would have far more operations.
    self.assertBetween(int(match[1].replace(",", "")), 300, most)

  def test_training_step(self):
    ran = _run(
        "training_step",
        _TINY,
        "--steps=1",
        "--rounds=1",
        "--variants=cached",
    )
    self.assertEqual(0, ran.returncode, ran.stderr)
    self.assertIn("| cached, bfloat16 |", ran.stdout)

  def test_unknown_variant(self):
    ran = _run("training_step", "--variants=fast")
    self.assertEqual(1, ran.returncode)
    self.assertIn("must be prefixes of cached; ", ran.stderr)

  def test_both_ways_of_the_decoder_are_the_same(self):
    config = configuration.ModelConfig(batch_size=3, vocab_size=20)
    (batch,) = decoder_step.make_batches(config, 1)
    decoder = caption_decoder.CaptionDecoder(
        feature_size=2048,
        vocab_size=20,
        embedding_size=5,
        num_units=4,
        initializer_scale=0.08,
        dropout_keep_prob=0.7,
    )
    variables = list(decoder.variables_by_name.values())
    results = []
    for losses in (decoder_step.plain_losses, decoder_step.our_losses):
      with tf.GradientTape() as tape:
        values = losses(decoder, batch, tf.constant([1, 2]), 0.7)
      gradients = tape.gradient(values, variables)
      results.append(
          [values, *[tf.convert_to_tensor(gradient) for gradient in gradients]]
      )
    for plain, ours in zip(*results, strict=True):
      np.testing.assert_allclose(plain, ours, rtol=1e-4, atol=1e-5)


if __name__ == "__main__":
  absltest.main()
