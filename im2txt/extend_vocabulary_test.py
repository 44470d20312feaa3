"""Tests of the program extend_vocabulary."""

import os

import tensorflow as tf

from im2txt import extend_vocabulary
from im2txt import show_and_tell_model
from im2txt.checkpointing import checkpoint_paths
from im2txt.testing import old_checkpoints
from im2txt.testing import programs
from im2txt.testing import tiny


class ExtendVocabularyTest(tf.test.TestCase):

  def _run(self, *arguments):
    return programs.run("extend_vocabulary", *arguments)

  def test_prints_what_it_does(self):
    model = show_and_tell_model.ShowAndTellModel(tiny.CONFIG, "inference")
    variables = model.checkpoint_variables()
    folder = self.create_tempdir().full_path
    old_checkpoints.write(
        folder, {n: v.numpy() for n, v in variables.items()}, version=2
    )
    old = self.create_tempfile(content="<S> 2\n</S> 2\na 1").full_path
    words = [f"w{i}" for i in range(tiny.VOCAB_SIZE - 4)]
    new = os.path.join(folder, "new")
    for added, more in (
        (words, "stays"),
        ([*words, "é"], f"is {tiny.VOCAB_SIZE + 1}, and was"),
    ):
      offered = self.create_tempfile(content="\n".join(added)).full_path
      ran = self._run(folder, old, offered, new)
      self.assertEqual(ran.returncode, 0, ran.stderr)
      lines = ran.stdout.splitlines()
      self.assertStartsWith(lines[0], f"Added {len(added)} words: w0 w1")
      self.assertStartsWith(lines[1], f"vocab_size {more} {tiny.VOCAB_SIZE}")
      self.assertEqual(
          lines[2],
          f"Wrote {checkpoint_paths.find(new)} and {new}/word_counts.txt",
      )
      new += "er"

  def test_mistakes(self):
    for arguments, status, message in (
        (["x", "y", "z"], 2, "Four arguments are required"),
        (["/x", "/no/y", "z", "w"], 1, "There is no vocabulary file '/no/y'"),
    ):
      ran = self._run(*arguments)
      self.assertEqual(ran.returncode, status)
      self.assertStartsWith(
          ran.stderr.splitlines()[-1], f"extend_vocabulary: {message}"
      )

  def test_help_gives_the_command(self):
    self.assertIn("extend_vocabulary \\\n", extend_vocabulary.__doc__)


if __name__ == "__main__":
  tf.test.main()
