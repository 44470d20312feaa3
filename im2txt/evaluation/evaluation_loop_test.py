"""Tests of evaluation_loop."""

import contextlib
import dataclasses
import os
import time
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import tensorflow as tf

from im2txt import show_and_tell_model
from im2txt.checkpointing import best_checkpoint
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.evaluation import comparison
from im2txt.evaluation import evaluation_loop
from im2txt.evaluation import ranking
from im2txt.runtime import folder_lock
from im2txt.testing import fake_java
from im2txt.testing import made_up_features
from im2txt.testing import tiny


class EvaluationLoopTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.enter_context(made_up_features.accepted())
    self.model = show_and_tell_model.ShowAndTellModel(
        tiny.CONFIG, "eval", seed=5
    )

  def _save(self, step):
    self.model.global_step.assign(step)
    saver = checkpoints.Saver(
        self.model.checkpoint_variables(), self.dir, max_to_keep=5
    )
    return saver.save(step)

  def _loop(self, config=tiny.CONFIG, **kwargs):
    return evaluation_loop.EvaluationLoop(
        model=show_and_tell_model.ShowAndTellModel(config, "eval"),
        data=made_up_features.write(self.dir, 5, config=config),
        checkpoint_dir=self.dir,
        eval_dir=os.path.join(self.dir, "eval"),
        max_examples=100,
        **kwargs,
    )

  def _perplexities(self):
    values = {}
    for file in tf.io.gfile.glob(os.path.join(self.dir, "eval", "events*")):
      for record in tf.data.TFRecordDataset(file):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
          if value.tag == "Perplexity":
            values[event.step] = float(tf.make_ndarray(value.tensor))
    return values

  @parameterized.parameters(True, False)
  def test_ended_training_is_an_error(self, has_checkpoint):
    with folder_lock.hold(self.dir):
      pass
    if has_checkpoint:
      self._save(7)
    times = iter(range(0, 1000, 10))
    with (
        mock.patch.object(time, "sleep"),
        mock.patch.object(time, "monotonic", lambda: next(times)),
        self.assertRaisesRegex(ValueError, f"Training in {self.dir} has ended"),
    ):
      if has_checkpoint:
        self._loop(min_global_step=8).run(interval_secs=1)
      else:
        evaluation_loop.wait_for_checkpoint(self.dir, interval_secs=1)

  @parameterized.parameters(True, False)
  def test_waits_for_training_that_runs_or_has_not_begun(self, is_running):
    times = iter(range(0, 5000, 10))
    with (
        mock.patch.object(time, "sleep"),
        mock.patch.object(time, "monotonic", lambda: next(times)),
        folder_lock.hold(self.dir) if is_running else contextlib.nullcontext(),
    ):
      self.assertFalse(
          evaluation_loop.wait_for_checkpoint(
              self.dir, interval_secs=1, timeout_secs=1000
          )
      )

  def test_perplexity_is_logged_and_summarized(self):
    path = self._save(7)
    with self.assertLogs("absl", "INFO") as logs:
      perplexity = self._loop().run_once().perplexity
    # Without training, all words are about equally likely.
    self.assertAllClose(tiny.VOCAB_SIZE, perplexity, rtol=0.1)
    self.assertAllClose({7: perplexity}, self._perplexities(), rtol=1e-6)
    text = "\n".join(logs.output)
    self.assertRegex(text, "Creating eval directory: .*/eval")
    self.assertRegex(text, r"Starting evaluation at \d{4}-\d\d-\d\d-\d\d:\d\d:")
    self.assertIn(f"Loading model from checkpoint: {path}", text)
    self.assertIn(f"Successfully loaded {path} at global step = 7.", text)
    self.assertIn("Computed losses for 1 of 3 batches.", text)
    self.assertRegex(text, rf"Perplexity = {perplexity:f} \(\S+ sec\)")
    self.assertIn("Finished processing evaluation at global step 7.", text)

  def test_averages_of_weights(self):
    name = "logits/biases"
    certain = tf.one_hot(tiny.END_ID, tiny.VOCAB_SIZE, on_value=9.0)
    average = tf.Variable(certain)
    variables = {
        **self.model.checkpoint_variables(),
        f"{name}/ExponentialMovingAverage": average,
    }
    checkpoints.Saver(variables, self.dir, max_to_keep=5).save(3)
    plain = self._loop().run_once().perplexity
    self.assertAllClose(tiny.VOCAB_SIZE, plain, rtol=0.1)
    loop = self._loop(config=dataclasses.replace(tiny.CONFIG, use_ema=True))
    # Wrong for all words but the end word.
    self.assertGreater(loop.run_once().perplexity, 100)
    self.assertAllEqual(certain, loop.model.decoder.logits_biases)

  def test_nothing_to_evaluate(self):
    loop = self._loop(min_global_step=5)
    with self.assertLogs("absl", "INFO") as logs:
      self.assertIsNone(loop.run_once())
      self._save(4)
      self.assertIsNone(loop.run_once())
    text = "\n".join(logs.output)
    self.assertIn(
        f"Skipping evaluation. No checkpoint found in: {self.dir}", text
    )
    self.assertIn("Skipping evaluation. Global step = 4 < 5", text)
    self.assertEmpty(self._perplexities())

  def test_each_checkpoint_once(self):
    self._save(1)
    loop = self._loop()
    self.assertIsNotNone(loop.run_once())
    self.assertIsNone(loop.run_once())
    self._save(2)
    self.assertIsNotNone(loop.run_once())
    self.assertSameElements([1, 2], self._perplexities())

  # The index is deleted first, but may have been read already.
  @parameterized.parameters(".*", ".data*")
  def test_checkpoint_deleted_while_evaluated(self, suffix):
    path = self._save(1)
    loop = self._loop()

    def find_and_delete(folder):
      del folder
      for file in tf.io.gfile.glob(path + suffix):
        os.remove(file)
      return path

    with mock.patch.object(checkpoint_paths, "find_latest", find_and_delete):
      self.assertIsNone(loop.run_once())
    self._save(2)
    self.assertIsNotNone(loop.run_once())

  def test_damaged_checkpoint_is_an_error(self):
    path = self._save(1)
    with open(path + ".data-00000-of-00001", "r+b") as file:
      file.truncate(100)
    with self.assertRaisesRegex(ValueError, "can't be read"):
      self._loop().run_once()

  def test_best_is_kept_and_training_is_stopped(self):
    best_dir = os.path.join(self.dir, "best")
    loop = self._loop(
        best=best_checkpoint.BestCheckpoint(best_dir, "perplexity"),
        stop_after=2,
    )
    biases = self.model.decoder.logits_biases
    steps = []

    def sleep(seconds):
      del seconds
      steps.append(len(steps) + 1)
      # Gets worse: a word in no caption becomes more likely.
      biases.assign(tf.one_hot(11, tiny.VOCAB_SIZE, float(len(steps))))
      self._save(len(steps))

    with mock.patch.object(time, "sleep", sleep):
      loop.run(interval_secs=0)
    self.assertEqual([1, 2, 3], steps)
    self.assertEndsWith(checkpoint_paths.find(best_dir), "model.ckpt-1")
    self.assertStartsWith(
        best_checkpoint.stop_reason(self.dir),
        "No gain in perplexity for 2 evaluations (--stop_after=2) since step 1",
    )

  def _naps(self, save_after):
    """Fakes the clock; saves a checkpoint after `save_after` naps."""
    naps = []

    def sleep(seconds):
      naps.append(seconds)
      if len(naps) == save_after:
        self._save(3)

    clock = lambda: 10.0 * len(naps)
    self.enter_context(mock.patch.object(time, "sleep", sleep))
    self.enter_context(mock.patch.object(time, "monotonic", clock))
    return naps

  @parameterized.parameters(
      (0, [10, 10], True), (35, [10, 10], True), (15, [10, 5], False)
  )
  def test_waits_for_a_checkpoint(self, timeout_secs, expected, is_found):
    naps = self._naps(save_after=2)
    found = evaluation_loop.wait_for_checkpoint(
        self.dir, interval_secs=10, timeout_secs=timeout_secs
    )
    self.assertEqual((expected, is_found), (naps, found))

  def test_loop_ends_without_new_checkpoints(self):
    loop = self._loop()
    naps = self._naps(save_after=2)
    loop.run(interval_secs=10, timeout_secs=35)
    # Polls at 0, 10 and 20, where a checkpoint exists; then at 30, 40, 50. The
    # timeout is at 55, so the last nap is shorter.
    self.assertEqual([10, 10, 10, 10, 10, 5], naps)
    self.assertSameElements([3], self._perplexities())


class TableTest(absltest.TestCase):

  def test_perplexities(self):
    table = evaluation_loop.table(
        [
            evaluation_loop.Evaluation("model.ckpt-5", 5, 12.34567),
            evaluation_loop.Evaluation("model.ckpt-50", 50, 9.5),
        ]
    )
    self.assertEqual(
        "| checkpoint    | step | perplexity |\n"
        "| ------------- | ---: | ---------: |\n"
        "| model.ckpt-5  |    5 |     12.346 |\n"
        "| model.ckpt-50 |   50 |      9.500 |",
        table,
    )

  def test_captions(self):
    fake_java.install(self, None)
    references = {1: ["a red sky"], 2: ["a blue sea"]}
    evaluations = []
    for step, caption in (5, "a dog"), (50, "a red sky"):
      name = f"model.ckpt-{step}"
      scores = comparison.compare(
          references, {name: {1: [caption], 2: ["a blue sea"]}}
      )
      evaluations.append(evaluation_loop.Evaluation(name, step, 2.0, scores))
    heading, _, first, second, _, *notes = evaluation_loop.table(
        evaluations
    ).splitlines()
    self.assertRegex(
        heading, r"^\| checkpoint +\| step \| perplexity \| images \| Bleu_1"
    )
    columns = [cell.strip() for cell in heading.split("|")]
    cider = columns.index("CIDEr")
    self.assertLess(first.split("|")[cider], second.split("|")[cider])
    self.assertEqual(
        "1.000", second.split("|")[columns.index("Bleu_1")].strip()
    )
    self.assertIn("Tokenizer: python.", notes)
    # METEOR is missing in both for the same reason, which is noted once.
    self.assertLen([note for note in notes if "METEOR" in note], 1)
    self.assertIn("CIDEr", evaluations[0].metrics())

  def test_rankings(self):
    plain = evaluation_loop.Evaluation("model.ckpt-5", 5, 2.0)
    self.assertEqual("", evaluation_loop.ranking_table([plain]))
    ranks = ranking.Ranks({1: 0.5, 5: 1.0}, 1.5)
    ranked = plain._replace(ranks=ranking.Ranking(2, 4, {"to image": ranks}))
    self.assertEqual(
        "\n| checkpoint   |  ranking |   R@1 |    R@5 | median rank |\n"
        "| ------------ | -------: | ----: | -----: | ----------: |\n"
        "| model.ckpt-5 | to image | 50.0% | 100.0% |         1.5 |\n"
        "\nOf 2 images and 4 captions.\n",
        evaluation_loop.ranking_table([ranked]),
    )


if __name__ == "__main__":
  tf.test.main()
