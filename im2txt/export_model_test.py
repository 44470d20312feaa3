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
    self.assertRegex(ran.stderr, rf"Wrote frozen_graph: {path} \([\d.]+ MB\)\n")
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
      ("saved_model", "saved_model", "--output_dir", "captioner/1"),
      ("tflite", "tflite", "--output_file", "model.tflite"),
  )
  def test_formats_with_words(self, name, flag, path):
    folder = self.create_tempdir().full_path
    tiny_captioning.save(tiny_captioning.make_model(), folder)
    path = os.path.join(folder, path)
    ran = programs.run(
        "export_model",
        f"--format={name}",
        f"--checkpoint_path={folder}",
        f"--vocab_file={tiny.write_vocabulary(folder)}",
        "--beam_size=2",
        f"{flag}={path}",
    )
    self.assertEqual((ran.returncode, ran.stdout), (0, ""), ran.stderr)
    last = ran.stderr.splitlines()[-1]
    self.assertRegex(last, rf"Wrote {name}: {path} \([01]\.\d MB\)")
    self.assertNotIn("contains input name", ran.stderr)
    self.assertTrue(os.path.exists(path))

  @parameterized.named_parameters(
      (
          "no_vocabulary",
          ["--format=saved_model", "--output_dir=x"],
          "--vocab_file is required.",
      ),
      (
          "no_folder",
          ["--format=saved_model", "--vocab_file=x"],
          "--output_dir is required.",
      ),
      (
          "file_for_a_folder",
          [
              "--format=saved_model",
              "--vocab_file=x",
              "--output_dir=x",
              "--output_file=x",
          ],
          "--output_file is not for --format=saved_model.",
      ),
      (
          "beam_size",
          ["--output_file=x", "--beam_size=2"],
          "--beam_size is not for --format=frozen_graph.",
      ),
      (
          "bfloat16",
          [
              "--format=tflite",
              "--vocab_file=x",
              "--output_file=x",
              "--precision=bfloat16",
          ],
          "--precision is not for --format=tflite.",
      ),
      (
          "pb",
          ["--format=saved_model", "--vocab_file=x", "--output_dir=x.pb"],
          (
              "--output_dir must not end in .pb, the extension of frozen"
              " graphs."
          ),
      ),
  )
  def test_wrong_combinations(self, arguments, message):
    ran = programs.run("export_model", "--checkpoint_path=x", *arguments)
    self.assertEqual(ran.returncode, 2)
    self.assertEqual(ran.stderr, f"export_model: {message}\n")

  @parameterized.named_parameters(
      ("no_checkpoint", "--output_file=x", 2, "--checkpoint_path is required."),
      ("no_file", "--checkpoint_path=x", 2, "--output_file is required."),
      (
          "format",
          "--format=tar",
          2,
          (
              "flag --format=tar: value should be one of"
              " <frozen_graph|saved_model|tflite>"
          ),
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
