"""Tests of the program convert_checkpoint."""

import os

import tensorflow as tf

from im2txt import convert_checkpoint
from im2txt import show_and_tell_model
from im2txt.checkpointing import checkpoint_paths
from im2txt.testing import old_checkpoints
from im2txt.testing import programs
from im2txt.testing import tiny


class ConvertCheckpointTest(tf.test.TestCase):

  def _run(self, *arguments):
    return programs.run("convert_checkpoint", *arguments)

  def test_prints_what_it_does(self):
    model = show_and_tell_model.ShowAndTellModel(tiny.CONFIG, "inference")
    variables = model.checkpoint_variables()
    values = {name: value.numpy() for name, value in variables.items()}
    values = old_checkpoints.of_generation(values, "0.x")
    values["lstm/BasicLSTMCell/Linear/Bias/ExponentialMovingAverage"] = 1.0
    folder = self.create_tempdir().full_path
    old = old_checkpoints.write(folder, values, version=1)
    new = os.path.join(folder, "new")
    ran = self._run(old, new)
    self.assertEqual(ran.returncode, 0, ran.stderr)
    self.assertEqual(
        ran.stdout.splitlines(),
        [
            "Renamed lstm/BasicLSTMCell/Linear/Bias to"
            " lstm/basic_lstm_cell/bias",
            "Renamed lstm/BasicLSTMCell/Linear/Matrix to"
            " lstm/basic_lstm_cell/kernel",
            "Left out lstm/BasicLSTMCell/Linear/Bias/ExponentialMovingAverage",
            f"Wrote 383 variables of global step 0 to {new}/model.ckpt-0",
        ],
    )
    self.assertEqual(checkpoint_paths.find(new), f"{new}/model.ckpt-0")
    ran = self._run(old, new)
    self.assertEqual(ran.returncode, 1)
    self.assertRegex(
        ran.stderr.splitlines()[-1], "convert_checkpoint: There is a checkpoint"
    )

  def test_mistakes(self):
    for arguments, status, message in (
        (["x"], 2, "Two arguments are required"),
        (["x", "y", "z"], 2, "Unexpected argument: 'z'"),
        (["/no/x", "y"], 1, "No checkpoint found at: /no/x"),
    ):
      ran = self._run(*arguments)
      self.assertEqual(ran.returncode, status)
      self.assertIn(
          f"convert_checkpoint: {message}", ran.stderr.splitlines()[-1]
      )

  def test_help_gives_the_command(self):
    self.assertIn("convert_checkpoint old/", convert_checkpoint.__doc__)


if __name__ == "__main__":
  tf.test.main()
