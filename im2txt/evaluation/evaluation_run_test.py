"""Tests of evaluation_run."""

import os
from unittest import mock

import tensorflow as tf

from im2txt import configuration
from im2txt import show_and_tell_model
from im2txt.checkpointing import best_checkpoint
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
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
    saver = checkpoints.Saver(
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
    return evaluation_run.evaluate(evaluation_run.EvaluationSettings(**values))

  def test_once_with_all_metrics(self):
    self._save(1, 2)
    (evaluation,) = self._evaluate(
        caption_metrics=True, ranking=True, keep_best="perplexity"
    )
    self.assertEqual(("model.ckpt-2", 2), (evaluation.name, evaluation.step))
    corpus = evaluation.captions.systems[evaluation.name].corpus
    self.assertEqual([f"Bleu_{n}" for n in (1, 2, 3, 4)], list(corpus))
    self.assertEqual("python", evaluation.captions.tokenizer)
    self.assertEqual(3, evaluation.ranks.num_images)
    best = best_checkpoint.BestCheckpoint(
        os.path.join(self.dir, "best"), "perplexity"
    )
    self.assertEqual(2, best.best.step)
    self.assertTrue(
        os.path.exists(os.path.join(self.dir, "eval/captions_val_results.json"))
    )

  def test_separate_evaluations_stop_training(self):
    options = {"keep_best": "perplexity", "stop_after": 1}
    for step in (1, 2):  # The same weights, so no improvement.
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
      evaluations = self._evaluate(
          checkpoint_dir="", checkpoints=f"{self.dir}/model.ckpt-*"
      )
    make_loop.assert_called_once()
    self.assertEqual([1, 2], [evaluation.step for evaluation in evaluations])

  def _evaluate_with_deletion(self, deleted):
    """Evaluates checkpoints, some of which are deleted before they are read."""
    self._save(1, 2)
    find_all = checkpoint_paths.find_all

    def find_and_delete(patterns):
      paths = find_all(patterns)
      for file in tf.io.gfile.glob(os.path.join(self.dir, deleted)):
        os.remove(file)
      return paths

    with mock.patch.object(checkpoint_paths, "find_all", find_and_delete):
      return self._evaluate(
          checkpoint_dir="", checkpoints=f"{self.dir}/model.ckpt-*"
      )

  def test_deleted_checkpoint_is_left_out(self):
    with self.assertLogs("absl", "WARNING") as logs:
      evaluations = self._evaluate_with_deletion("model.ckpt-1.*")
    self.assertEqual([2], [evaluation.step for evaluation in evaluations])
    self.assertRegex(logs.output[0], "Skipping evaluation. .*model.ckpt-1")

  def test_all_checkpoints_are_deleted(self):
    with self.assertRaisesRegex(FileNotFoundError, "deleted .*ckpt-1, .*-2"):
      self._evaluate_with_deletion("model.ckpt-*")

  def test_missing_file_is_an_error(self):
    self._save(1)
    with self.assertRaisesRegex(FileNotFoundError, "/no/words"):
      self._evaluate(
          checkpoint_dir="",
          checkpoints=self.dir,
          caption_metrics=True,
          vocab_file="/no/words",
      )

  def test_report_folders_are_checked_first(self):
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

  def test_continuous_evaluation(self):
    self._save(1)
    # The timeout ends the loop after the first checkpoint.
    self.assertEmpty(self._evaluate(once=False, timeout_secs=1e-6))
    self.assertNotEmpty(tf.io.gfile.glob(f"{self.dir}/eval/events*"))

  def test_configuration_is_read_after_the_first_checkpoint(self):
    def wait(checkpoint_dir, **timing):
      self.assertEqual(
          (self.dir, 1e-6), (checkpoint_dir, timing["timeout_secs"])
      )
      self._save(1)
      return True

    with mock.patch.object(evaluation_loop, "wait_for_checkpoint", wait):
      self._evaluate(once=False, timeout_secs=1e-6)
    self.assertNotEmpty(tf.io.gfile.glob(f"{self.dir}/eval/events*"))

  def test_checkpoint_instead_of_a_folder(self):
    self._save(1)
    for name in ("model.ckpt-1", "model.ckpt-1.index"):
      path = os.path.join(self.dir, name)
      with self.assertRaisesRegex(ValueError, f"evaluate {path}, give it"):
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
