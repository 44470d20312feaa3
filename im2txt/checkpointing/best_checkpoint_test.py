"""Tests of keeping the best checkpoint."""

import itertools
import json
import math
import os
import pathlib
from unittest import mock

from absl.testing import parameterized
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import best_checkpoint
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import saved_config


class BestCheckpointTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.train_dir = self.create_tempdir().full_path
    self.folder = os.path.join(self.train_dir, "best")
    self.step = tf.Variable(0, dtype=tf.int32)
    self.saver = checkpoints.Saver(
        {"global_step": self.step}, self.train_dir, max_to_keep=2
    )
    saved_config.save(
        self.train_dir,
        configuration.ModelConfig(),
        configuration.TrainingConfig(),
    )

  def _evaluate(self, keeper, step, value):
    self.step.assign(step)
    checkpoint = self.saver.save(step)
    keeper.hold(checkpoint)
    return keeper.offer(checkpoint, step=step, value=value)

  def _kept_step(self):
    checkpoints.restore(
        {"global_step": self.step}, checkpoint_paths.find(self.folder)
    )
    return int(self.step)

  @parameterized.parameters(
      ("perplexity", [9.0, 8.0, 8.5, math.nan], 20),
      ("perplexity", [math.inf, 8.0, 8.0], 20),
      ("CIDEr", [0.5, 0.6, 0.4, 0.7], 40),
      ("CIDEr", [math.nan, 0.0], 20),
  )
  def test_best_of_several(self, metric, values, best_step):
    for i, value in enumerate(values, start=1):
      # As in a program that is started again each time.
      keeper = best_checkpoint.BestCheckpoint(self.folder, metric)
      self._evaluate(keeper, 10 * i, value)
    self.assertEqual(best_step, self._kept_step())
    content = json.loads(pathlib.Path(self.folder, "best.json").read_text())
    self.assertEqual(metric, content["metric"])
    self.assertEqual(f"model.ckpt-{best_step}", content["checkpoint"])
    self.assertEqual(values[best_step // 10 - 1], content["value"])
    self.assertLen(content["evaluations"], len(values))
    self.assertEqual(
        len(values) - best_step // 10, keeper.best.num_without_gain
    )
    self.assertCountEqual(
        [
            "best.json",
            "checkpoint",
            "config.json",
            f"model.ckpt-{best_step}.data-00000-of-00001",
            f"model.ckpt-{best_step}.index",
        ],
        os.listdir(self.folder),
    )

  def test_same_checkpoint_again_counts_once(self):
    keeper = best_checkpoint.BestCheckpoint(self.folder, "CIDEr")
    self.assertTrue(self._evaluate(keeper, 10, 0.5))
    self.assertFalse(self._evaluate(keeper, 20, 0.4))
    self.assertFalse(self._evaluate(keeper, 20, 0.4))
    self.assertEqual(1, keeper.best.num_without_gain)

  def test_training_deletes_it_during_evaluation(self):
    keeper = best_checkpoint.BestCheckpoint(self.folder, "CIDEr")
    checkpoint = self.saver.save(10)
    keeper.hold(checkpoint)
    self.saver.save(20)
    self.saver.save(30)
    self.assertFalse(checkpoint_paths.exists(checkpoint))
    self.assertTrue(keeper.offer(checkpoint, step=10, value=0.5))
    self.assertEqual(
        self._path("model.ckpt-10"), checkpoint_paths.find(self.folder)
    )

  def test_training_deletes_it_before(self):
    keeper = best_checkpoint.BestCheckpoint(self.folder, "CIDEr")
    with self.assertRaisesRegex(FileNotFoundError, "ckpt-7 was deleted"):
      keeper.hold(os.path.join(self.train_dir, "model.ckpt-7"))

  def _path(self, name):
    return os.path.join(self.folder, name)

  @parameterized.parameters("copy", "rename", "remove")
  def test_killed_at_any_moment(self, function):
    """Each call of a function in turn doesn't come to its end."""
    real = getattr(tf.io.gfile, function)
    keeper = best_checkpoint.BestCheckpoint(self.folder, "CIDEr")
    self._evaluate(keeper, 1, 0.01)
    for number in itertools.count(1):
      calls = []

      def die(*args, number=number, calls=calls, **kwargs):
        calls.append(args)
        if len(calls) == number:
          raise KeyboardInterrupt
        return real(*args, **kwargs)

      with mock.patch.object(tf.io.gfile, function, die):
        try:
          self._evaluate(keeper, 10 * number, number / 10)
          break  # There are fewer such calls.
        except KeyboardInterrupt:
          pass
      keeper = best_checkpoint.BestCheckpoint(self.folder, "CIDEr")
      kept = self._kept_step()
      self.assertEqual(kept, keeper.best.step)
      self.assertIn(kept, [1, 10 * (number - 1), 10 * number])
      self.assertLen(tf.io.gfile.glob(self._path("model.ckpt-*")), 2)
    self.assertGreater(number, 2)

  def test_other_metric(self):
    keeper = best_checkpoint.BestCheckpoint(self.folder, "CIDEr")
    self._evaluate(keeper, 10, 0.5)
    with self.assertRaisesRegex(ValueError, "by CIDEr, not by perplexity"):
      best_checkpoint.BestCheckpoint(self.folder, "perplexity")

  @parameterized.parameters("", "[]", "{}", '{"metric": 1, "x": 2}')
  def test_unusable_file(self, text):
    os.makedirs(self.folder)
    pathlib.Path(self.folder, "best.json").write_text(text)
    with self.assertRaisesRegex(ValueError, "best.json is not valid"):
      best_checkpoint.BestCheckpoint(self.folder, "CIDEr")

  def test_stop(self):
    self.assertIsNone(best_checkpoint.stop_reason(self.train_dir))
    best_checkpoint.request_stop(self.train_dir, "No gain.")
    self.assertEqual(
        f"No gain. To resume, remove {self.train_dir}/stop.json.",
        best_checkpoint.stop_reason(self.train_dir),
    )
    pathlib.Path(self.train_dir, "stop.json").write_text("")
    self.assertStartsWith(
        best_checkpoint.stop_reason(self.train_dir), "A stop was requested."
    )


if __name__ == "__main__":
  tf.test.main()
