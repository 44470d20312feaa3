"""Tests of the program evaluate, as its users run it."""

import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt import checkpoint_saver
from im2txt import checkpoints
from im2txt import configuration
from im2txt import show_and_tell_model
from im2txt.testing import programs
from im2txt.testing import tiny


class EvaluateTest(parameterized.TestCase, tf.test.TestCase):

  def _arguments(self, folder):
    pattern = tiny.write_pairs(folder, "val-00000-of-00001", 6)
    return (
        f"--input_file_pattern={pattern}",
        f"--checkpoint_dir={folder}",
        f"--eval_dir={os.path.join(folder, 'eval')}",
        "--once",
    )

  def test_newest_checkpoint_once(self):
    folder = self.create_tempdir().full_path
    model = show_and_tell_model.ShowAndTellModel(tiny.CONFIG, "eval")
    checkpoints.save_config(folder, tiny.CONFIG, configuration.TrainingConfig())
    saver = checkpoint_saver.Saver(
        model.checkpoint_variables(), folder, max_to_keep=1
    )
    saver.save(0)
    ran = programs.run(
        "evaluate", *self._arguments(folder), "--min_global_step=0"
    )
    self.assertEqual(0, ran.returncode, ran.stderr)
    self.assertRegex(ran.stdout, r"^Perplexity = 1[12]\.\d{6}\n$")
    self.assertIn(
        "Finished processing evaluation at global step 0.", ran.stderr
    )

  def test_no_checkpoint(self):
    folder = self.create_tempdir().full_path
    ran = programs.run("evaluate", *self._arguments(folder))
    self.assertEqual(1, ran.returncode)
    self.assertIn("Skipping evaluation. No checkpoint found in:", ran.stderr)
    self.assertStartsWith(
        ran.stderr.splitlines()[-1], "evaluate: No checkpoint of step 5000"
    )
    self.assertEqual("", ran.stdout)

  @parameterized.named_parameters(
      ("pattern", [], "--input_file_pattern is required."),
      (
          "folder",
          ["--input_file_pattern=x"],
          "--checkpoint_dir is required.",
      ),
      (
          "both",
          ["--input_file_pattern=x", "--input_feature_pattern=x"],
          "Give either --input_file_pattern or --input_feature_pattern.",
      ),
  )
  def test_wrong_flags(self, arguments, message):
    ran = programs.run("evaluate", *arguments)
    self.assertEqual(2, ran.returncode)
    self.assertEqual(f"evaluate: {message}\n", ran.stderr)


if __name__ == "__main__":
  tf.test.main()
