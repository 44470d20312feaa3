"""Tests of the program `train`, run as a subprocess."""

import os
import signal
import subprocess

from absl.testing import parameterized
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import saved_config
from im2txt.testing import programs
from im2txt.testing import tiny


class TrainTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.train_dir = os.path.join(self.dir, "train")
    os.mkdir(self.train_dir)
    training_config = configuration.TrainingConfig(save_checkpoint_secs=0.0)
    saved_config.save(self.train_dir, tiny.CONFIG, training_config)

  def _arguments(self, steps, pattern=None):
    pattern = pattern or tiny.write_pairs(self.dir, "train-00000-of-00001", 6)
    return (
        f"--input_file_pattern={pattern}",
        f"--train_dir={self.train_dir}",
        f"--number_of_steps={steps}",
    )

  def test_killed_run_resumes_from_its_last_checkpoint(self):
    seen = 0
    with subprocess.Popen(
        programs.command("train", *self._arguments(10_000)),
        env=programs.environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
      for line in process.stderr:
        if "global step 3:" in line:
          process.kill()
          seen = 3
          break
    self.assertEqual(3, seen)
    self.assertEqual(-signal.SIGKILL, process.returncode)
    step = int(checkpoint_paths.find_latest(self.train_dir).rpartition("-")[2])
    # A checkpoint was written after every step except the one in progress.
    self.assertGreaterEqual(step, 2)
    ran = programs.run("train", *self._arguments(step + 1))
    self.assertEqual(0, ran.returncode, ran.stderr)
    self.assertIn(f"model.ckpt-{step}\n", ran.stderr)
    self.assertIn(f"global step {step + 1}: loss = ", ran.stderr)
    self.assertNotIn(f"global step {step}:", ran.stderr)
    self.assertEqual("", ran.stdout)

  @parameterized.named_parameters(
      ("no_folder", ["--input_file_pattern=x"], "--train_dir is required."),
      ("no_input", ["--train_dir=x"], "Give either --input_file_pattern or --"),
      (
          "features_cannot_fine_tune",
          ["--train_dir=x", "--input_feature_pattern=x", "--train_inception"],
          "--train_inception needs --input_file_pattern.",
      ),
      (
          "self_critical_needs_words",
          [
              "--train_dir=x",
              "--input_file_pattern=x",
              "--objective=self_critical",
          ],
          "--vocab_file is required.",
      ),
      (
          "several_devices_are_not_compiled",
          [
              "--train_dir=x",
              "--input_file_pattern=x",
              "--distribution=mirrored",
              "--jit_compile",
          ],
          "--jit_compile needs --distribution=off.",
      ),
      (
          "features_cannot_fine_tune_later",
          [
              "--train_dir=x",
              "--input_feature_pattern=x",
              "--train_inception_after_steps=5",
          ],
          "--train_inception_after_steps needs --input_file_pattern.",
      ),
      (
          "fine_tunes_twice",
          [
              "--train_dir=x",
              "--input_file_pattern=x",
              "--train_inception_after_steps=5",
              "--train_inception",
          ],
          "Give either --train_inception or --train_inception_after_steps.",
      ),
  )
  def test_invalid_flags(self, arguments, message):
    ran = programs.run("train", *arguments)
    self.assertEqual(2, ran.returncode)
    self.assertStartsWith(ran.stderr, f"train: {message}")
    self.assertLen(ran.stderr.splitlines(), 1)

  @parameterized.named_parameters(
      ("no_file", "/no/train-*", [], "No TFRecord matches --input_file_pat"),
      (
          "field",
          None,
          ["--config_overrides=layers=2"],
          "Unknown configuration field: ",
      ),
      (
          "preset",
          None,
          ["--preset=quickstart", "--scheduled_sampling=linear"],
          "The run in ",
      ),
      (
          "sampling",
          None,
          [
              "--config_overrides=scheduled_sampling=off",
              "--scheduled_sampling=linear",
          ],
          "--scheduled_sampling=linear contradicts scheduled_sampling=off in",
      ),
      (
          "inception",
          None,
          ["--inception_checkpoint_file=/no/inception.ckpt"],
          "No checkpoint found at: /no/inception.ckpt",
      ),
  )
  def test_invalid_input(self, pattern, arguments, message):
    ran = programs.run("train", *self._arguments(1, pattern), *arguments)
    self.assertEqual(1, ran.returncode)
    self.assertStartsWith(ran.stderr.splitlines()[-1], f"train: {message}")
    self.assertNotIn("Traceback", ran.stderr)

  def test_self_critical_resumes_from_a_trained_model(self):
    vocab_file = tiny.write_vocabulary(self.dir)
    arguments = "--objective=self_critical", f"--vocab_file={vocab_file}"
    ran = programs.run("train", *self._arguments(2), *arguments)
    self.assertEqual(1, ran.returncode)
    self.assertIn("No checkpoint found in folder", ran.stderr)
    ran = programs.run("train", *self._arguments(1))
    self.assertEqual(0, ran.returncode, ran.stderr)
    ran = programs.run("train", *self._arguments(2), *arguments)
    self.assertEqual(0, ran.returncode, ran.stderr)
    self.assertRegex(
        ran.stderr,
        r"global step 2: loss = \S+, reward = \S+, entropy = \S+, length =",
    )

  def test_help(self):
    ran = programs.run("train", "--help")
    self.assertEqual(0, ran.returncode)
    self.assertIn(
        "--train_inception=true --number_of_steps=3000000", ran.stdout
    )
    self.assertIn("--config_overrides", ran.stdout)
    self.assertIn("bazel-bin/im2txt/train --preset=paper2016", ran.stdout)


if __name__ == "__main__":
  tf.test.main()
