"""Tests of the program evaluate, run as a subprocess."""

import json
import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt import configuration
from im2txt import show_and_tell_model
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import saved_config
from im2txt.evaluation import coco_results
from im2txt.testing import programs
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning

_NAMES = ("--input_file_pattern=x", "--checkpoint_dir=x", "--eval_dir=x")


def _scored_by(settings):
  return settings["metrics"], settings["tokenizer"]


class EvaluateTest(parameterized.TestCase, tf.test.TestCase):

  def _arguments(self, folder):
    pattern = tiny.write_pairs(folder, "val-00000-of-00001", 6)
    return (
        f"--input_file_pattern={pattern}",
        f"--checkpoint_dir={folder}",
        f"--eval_dir={os.path.join(folder, 'eval')}",
        "--once",
    )

  def _saved(self, *steps):
    """Saves an untrained model at each step and returns its folder."""
    folder = self.create_tempdir().full_path
    model = show_and_tell_model.ShowAndTellModel(tiny.CONFIG, "eval")
    saved_config.save(folder, tiny.CONFIG, configuration.TrainingConfig())
    saver = checkpoints.Saver(
        model.checkpoint_variables(), folder, max_to_keep=len(steps)
    )
    for step in steps:
      saver.save(step)
    return folder

  def test_newest_checkpoint_once(self):
    folder = self._saved(0)
    ran = programs.run(
        "evaluate", *self._arguments(folder), "--min_global_step=0", "--ranking"
    )
    self.assertEqual(0, ran.returncode, ran.stderr)
    perplexity, table = ran.stdout.split("\n\n", 1)
    self.assertRegex(perplexity, r"^Perplexity = 1[12]\.\d{6}$")
    self.assertIn(" median rank |\n", table)
    self.assertEndsWith(table, "Of 6 images and 6 captions.\n")
    self.assertIn(
        "Finished processing evaluation at global step 0.", ran.stderr
    )

  def test_caption_metrics(self):
    folder = self.create_tempdir().full_path
    vocab_file = tiny.write_vocabulary(folder)
    tiny_captioning.save(tiny_captioning.make_model(), folder)
    ran = programs.run(
        "evaluate",
        *self._arguments(folder),
        "--min_global_step=0",
        "--caption_metrics",
        f"--vocab_file={vocab_file}",
        "--beam_size=2",
        "--max_caption_length=4",
        "--metrics=CIDEr",
        "--tokenizer=python",
    )
    self.assertEqual(0, ran.returncode, ran.stderr)
    number = r"\d+\.\d{6}"
    self.assertRegex(
        ran.stdout, rf"^Perplexity = {number}\nCIDEr = {number}\n$"
    )
    path = os.path.join(folder, "eval", "captions_val_results.json")
    captions = coco_results.read(path, range(6))
    self.assertLen(captions, 6)
    # At most four words, including the start word and the end word, if any.
    lengths = [len(caption.split()) for (caption,) in captions.values()]
    self.assertBetween(max(lengths), 1, 3)
    with open(os.path.join(folder, "eval", "captions_val_summary.json")) as f:
      settings = json.load(f)["settings"]
    self.assertEqual(4, settings["max_caption_length"])
    self.assertEqual((["CIDEr"], "python"), _scored_by(settings))

  def test_table_of_checkpoints(self):
    folder = self._saved(0, 1)
    pattern, _, eval_dir, once = self._arguments(folder)
    ran = programs.run(
        "evaluate",
        *(pattern, eval_dir, once),
        f"--checkpoints={folder}/model.ckpt-*",
    )
    self.assertEqual(0, ran.returncode, ran.stderr)
    heading, _, *rows = ran.stdout.splitlines()
    self.assertEqual("| checkpoint   | step | perplexity |", heading)
    self.assertLen(rows, 2)
    self.assertStartsWith(rows[1], "| model.ckpt-1 |")

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
      (
          "checkpoints",
          [*_NAMES, "--once", "--checkpoints=x"],
          "--checkpoints needs --once, and cannot be combined with"
          " --checkpoint_dir or --keep_best.",
      ),
      (
          "best",
          [*_NAMES, "--keep_best=CIDEr"],
          "--keep_best=CIDEr needs --caption_metrics, and CIDEr in --metrics.",
      ),
      (
          "stop",
          [*_NAMES, "--stop_after=2"],
          "--stop_after needs --keep_best.",
      ),
      ("ranking", [*_NAMES, "--ranking"], "--ranking needs --once."),
      (
          "vocabulary",
          [*_NAMES, "--caption_metrics"],
          "--vocab_file is required.",
      ),
      (
          "metrics",
          [*_NAMES, "--report_dir=x"],
          "--report_dir needs --caption_metrics.",
      ),
      (
          "search",
          [*_NAMES, "--beam_size=2"],
          "--beam_size needs --caption_metrics.",
      ),
      (
          "best_of_others",
          [
              *(*_NAMES, "--keep_best=CIDEr", "--caption_metrics"),
              *("--vocab_file=x", "--metrics=Bleu"),
          ],
          "--keep_best=CIDEr needs --caption_metrics, and CIDEr in --metrics.",
      ),
  )
  def test_wrong_flags(self, arguments, message):
    ran = programs.run("evaluate", *arguments)
    self.assertEqual(2, ran.returncode)
    self.assertEqual(f"evaluate: {message}\n", ran.stderr)


if __name__ == "__main__":
  tf.test.main()
