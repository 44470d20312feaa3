"""Tests of what evaluate is told, put together."""

import os
from unittest import mock

import tensorflow as tf

from im2txt import configuration
from im2txt import show_and_tell_model
from im2txt.checkpointing import best_checkpoint
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoint_saver
from im2txt.checkpointing import saved_config
from im2txt.evaluation import evaluation_loop
from im2txt.evaluation import evaluation_run
from im2txt.testing import made_up_features
from im2txt.testing import tiny


class EvaluationRunTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.enter_context(made_up_features.accepted())
    self.features = tiny.write_features(self.dir, "val-0-of-1", 4)

  def _save(self, *steps):
    model = show_and_tell_model.ShowAndTellModel(tiny.CONFIG, "eval", seed=5)
    saved_config.save(self.dir, tiny.CONFIG, configuration.TrainingConfig())
    saver = checkpoint_saver.Saver(
        model.checkpoint_variables(), self.dir, max_to_keep=9
    )
    for step in steps:
      model.global_step.assign(step)
      saver.save(step)

  def _evaluate(self, **fields):
    values = {
        "input_file_pattern": "",
        "input_feature_pattern": self.features,
        "checkpoint_dir": self.dir,
        "checkpoints": "",
        "eval_dir": os.path.join(self.dir, "eval"),
        "eval_interval_secs": 0,
        "num_eval_examples": 100,
        "min_global_step": 0,
        "once": True,
        "timeout_secs": 0,
        "caption_metrics": False,
        "vocab_file": tiny.write_vocabulary(self.dir),
        "split": "",
        "metrics": ["Bleu"],
        "tokenizer": "python",
        "training_captions": "",
        "report_dir": "",
        "keep_best": None,
        "best_dir": "",
        "stop_after": 0,
        "ranking": False,
        "ranking_images": 3,
        "config_overrides": "",
        "search_options": {"beam_size": 2, "max_caption_length": 5},
        **fields,
    }
    return evaluation_run.evaluate(evaluation_run.Run(**values))

  def test_once_with_all_that_is_asked_for(self):
    self._save(1, 2)
    (found,) = self._evaluate(
        caption_metrics=True, ranking=True, keep_best="perplexity"
    )
    self.assertEqual(("model.ckpt-2", 2), (found.name, found.step))
    corpus = found.captions.systems[found.name].corpus
    self.assertEqual([f"Bleu_{n}" for n in (1, 2, 3, 4)], list(corpus))
    self.assertEqual("python", found.captions.tokenizer)
    self.assertEqual(3, found.ranks.num_images)
    best = best_checkpoint.BestCheckpoint(
        os.path.join(self.dir, "best"), "perplexity"
    )
    self.assertEqual(2, best.best.step)
    self.assertTrue(
        os.path.exists(os.path.join(self.dir, "eval/captions_val_results.json"))
    )

  def test_training_is_told_to_stop_by_one_evaluation_at_a_time(self):
    options = {"keep_best": "perplexity", "stop_after": 1}
    for step in (1, 2):  # The same weights: no gain.
      self._save(step)
      self.assertIsNone(best_checkpoint.stop_reason(self.dir))
      self._evaluate(**options)
    self.assertStartsWith(
        best_checkpoint.stop_reason(self.dir),
        "No gain in perplexity for 1 evaluation",
    )

  def test_checkpoints_of_one_configuration_share_a_model(self):
    self._save(1, 2)
    loops = mock.patch.object(
        evaluation_loop, "EvaluationLoop", wraps=evaluation_loop.EvaluationLoop
    )
    with loops as make_loop:
      found = self._evaluate(
          checkpoint_dir="", checkpoints=f"{self.dir}/model.ckpt-*"
      )
    make_loop.assert_called_once()
    self.assertEqual([1, 2], [evaluation.step for evaluation in found])

  def _evaluate_after_loss(self, lost):
    """Evaluates all checkpoints, some of which are deleted once found."""
    self._save(1, 2)
    find_all = checkpoint_paths.find_all

    def find_and_lose(patterns):
      found = find_all(patterns)
      for file in tf.io.gfile.glob(os.path.join(self.dir, lost)):
        os.remove(file)
      return found

    with mock.patch.object(checkpoint_paths, "find_all", find_and_lose):
      return self._evaluate(
          checkpoint_dir="", checkpoints=f"{self.dir}/model.ckpt-*"
      )

  def test_checkpoint_that_training_deletes_is_left_out(self):
    with self.assertLogs("absl", "WARNING") as logs:
      found = self._evaluate_after_loss("model.ckpt-1.*")
    self.assertEqual([2], [evaluation.step for evaluation in found])
    self.assertRegex(logs.output[0], "Skipping evaluation. .*model.ckpt-1")

  def test_all_checkpoints_are_deleted(self):
    with self.assertRaisesRegex(FileNotFoundError, "deleted .*ckpt-1, .*-2"):
      self._evaluate_after_loss("model.ckpt-*")

  def test_a_missing_file_is_no_deleted_checkpoint(self):
    self._save(1)
    with self.assertRaisesRegex(FileNotFoundError, "/no/words"):
      self._evaluate(
          checkpoint_dir="",
          checkpoints=self.dir,
          caption_metrics=True,
          vocab_file="/no/words",
      )

  def test_folders_of_reports_are_checked_before_all_else(self):
    self._save(1, 2)
    reports = os.path.join(self.dir, "reports")
    os.makedirs(os.path.join(reports, "model.ckpt-2", "mine"))
    with (
        mock.patch.object(evaluation_loop, "EvaluationLoop") as make_loop,
        self.assertRaisesRegex(ValueError, "model.ckpt-2 holds mine"),
    ):
      self._evaluate(
          checkpoint_dir="",
          checkpoints=f"{self.dir}/model.ckpt-*",
          report_dir=reports,
      )
    make_loop.assert_not_called()

  def test_again_and_again(self):
    self._save(1)
    # No news within a millionth of a second.
    self.assertEmpty(self._evaluate(once=False, timeout_secs=1e-6))
    self.assertNotEmpty(tf.io.gfile.glob(f"{self.dir}/eval/events*"))

  def test_the_configuration_comes_with_the_first_checkpoint(self):
    def wait(checkpoint_dir, **pace):
      self.assertEqual((self.dir, 1e-6), (checkpoint_dir, pace["timeout_secs"]))
      self._save(1)
      return True

    with mock.patch.object(evaluation_loop, "wait_for_checkpoint", wait):
      self._evaluate(once=False, timeout_secs=1e-6)
    self.assertNotEmpty(tf.io.gfile.glob(f"{self.dir}/eval/events*"))

  def test_a_checkpoint_is_no_folder_of_checkpoints(self):
    self._save(1)
    for name in ("model.ckpt-1", "model.ckpt-1.index"):
      path = os.path.join(self.dir, name)
      with self.assertRaisesRegex(ValueError, f"For {path} alone give --check"):
        self._evaluate(checkpoint_dir=path)

  def test_overrides(self):
    self._save(1)
    with self.assertRaisesRegex(ValueError, "no_field"):
      self._evaluate(config_overrides="no_field=1")

  def test_nothing_to_evaluate(self):
    self._save(1)
    with self.assertRaisesRegex(
        ValueError, "No checkpoint of step 5 .--min_global_step. or later"
    ):
      self._evaluate(min_global_step=5)


if __name__ == "__main__":
  tf.test.main()
