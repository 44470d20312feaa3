"""Tests of the program export_model."""

import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt import captioning
from im2txt.testing import programs
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning


class ExportModelTest(parameterized.TestCase, tf.test.TestCase):

  def test_writes_the_newest_checkpoint_of_a_folder(self):
    folder = self.create_tempdir().full_path
    model = tiny_captioning.make_model()
    tiny_captioning.save(model, folder)
    path = os.path.join(folder, "exported", "model.pb")
    ran = programs.run(
        "export_model", f"--checkpoint_path={folder}", f"--output_file={path}"
    )
    self.assertEqual((ran.returncode, ran.stdout), (0, ""), ran.stderr)
    self.assertIn(f"Wrote frozen_graph: {path}\n", ran.stderr)
    vocab_file = tiny.write_vocabulary(folder)
    found, expected = (
        captioning.Captioner.load(file, vocab_file).caption(
            [tiny_captioning.jpeg(3)]
        )
        for file in (path, folder)
    )
    self.assertEqual(
        [caption.words for caption in found[0]],
        [caption.words for caption in expected[0]],
    )

  @parameterized.named_parameters(
      ("no_checkpoint", "--output_file=x", 2, "--checkpoint_path is required."),
      ("no_file", "--checkpoint_path=x", 2, "--output_file is required."),
      (
          "format",
          "--format=tar",
          2,
          "flag --format=tar: value should be one of <frozen_graph>",
      ),
  )
  def test_wrong_flags(self, argument, status, message):
    ran = programs.run("export_model", argument)
    self.assertEqual(ran.returncode, status)
    self.assertEqual(ran.stderr, f"export_model: {message}\n")

  def test_missing_checkpoint(self):
    ran = programs.run(
        "export_model", "--checkpoint_path=/no/x", "--output_file=/no/y"
    )
    self.assertEqual(ran.returncode, 1)
    self.assertEqual(
        ran.stderr.splitlines()[-1],
        "export_model: No checkpoint found at: /no/x",
    )


if __name__ == "__main__":
  tf.test.main()
