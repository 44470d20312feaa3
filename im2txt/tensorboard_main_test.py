"""Tests that TensorBoard starts."""

from absl.testing import absltest

from im2txt.testing import programs


class TensorboardMainTest(absltest.TestCase):

  def test_needs_a_folder(self):
    ran = programs.run("tensorboard_main", "--logdir=")
    self.assertEqual(1, ran.returncode)
    self.assertIn("logdir", ran.stderr)

  def test_help(self):
    ran = programs.run("tensorboard_main", "--helpfull")
    self.assertEqual(0, ran.returncode)
    self.assertIn("--logdir", ran.stdout)


if __name__ == "__main__":
  absltest.main()
