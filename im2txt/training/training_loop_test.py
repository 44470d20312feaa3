"""Tests of training runs: files, stops, resumption, invalid input."""

import dataclasses
import os
import signal
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import best_checkpoint
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import saved_config
from im2txt.data import caption_data
from im2txt.data import dataset_facts
from im2txt.testing import made_up_features
from im2txt.testing import tiny
from im2txt.training import trainers
from im2txt.training import training_loop

_TRAINING = configuration.TrainingConfig(
    initial_learning_rate=0.1, optimizer="adam", save_summaries_secs=1e9
)


class TrainingLoopTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.train_dir = os.path.join(self.dir, "train")
    self.enter_context(made_up_features.accepted())

  def _data(self, config=tiny.CONFIG, **kwargs):
    return caption_data.CaptionData(
        files=[tiny.write_features(self.dir, "features", 6, **kwargs)],
        config=config,
        are_features=True,
    )

  def _loop(self, train_dir=None, training=_TRAINING, **kwargs):
    """Returns the loop of a folder, resumed from its newest checkpoint."""
    train_dir = train_dir or self.train_dir
    return training_loop.TrainingLoop(
        model_config=tiny.CONFIG,
        training_config=training,
        train_dir=train_dir,
        checkpoint=checkpoints.find_readable(train_dir),
        **kwargs,
    )

  def _values(self, train_dir):
    reader = tf.train.load_checkpoint(checkpoint_paths.find(train_dir))
    names = reader.get_variable_to_shape_map()
    return {name: reader.get_tensor(name) for name in names}

  def test_first_and_last_checkpoint_and_configuration(self):
    with self.assertLogs("absl", "INFO") as logs:
      self._loop().run(self._data(), number_of_steps=3, log_every_n_steps=2)
    self.assertContainsSubset(
        [
            "checkpoint",
            "config.json",
            "model.ckpt-0.index",
            "model.ckpt-3.index",
        ],
        os.listdir(self.train_dir),
    )
    self.assertEqual(
        (tiny.CONFIG, _TRAINING), saved_config.load(self.train_dir)
    )
    text = "\n".join(logs.output)
    self.assertRegex(text, r"Creating training directory: .*/train")
    self.assertRegex(
        text, r"global step 2: loss = \d\.\d{4} \(\d+\.\d{3} sec/step\)"
    )
    self.assertNotIn("global step 3", text)
    self.assertIn("Finished training! Saving model to disk.", text)

  def test_evaluation_tells_to_stop(self):
    loop = self._loop()
    best_checkpoint.request_stop(self.train_dir, "No gain.")
    with self.assertLogs("absl", "INFO") as logs:
      request = loop.run(self._data(), number_of_steps=3)
    self.assertEqual(0, request.exit_status)
    self.assertEqual(0, loop.trainer.global_step)
    text = "\n".join(logs.output)
    self.assertIn("No gain. To resume, remove", text)
    self.assertIn("Stopping Training.", text)
    self.assertNotIn("Finished training!", text)
    os.remove(os.path.join(self.train_dir, "stop.json"))
    loop.run(self._data(), number_of_steps=1)
    self.assertEqual(1, loop.trainer.global_step)

  def test_resumed_run_equals_an_uninterrupted_one(self):
    data = self._data()
    whole = os.path.join(self.dir, "whole")
    self._loop(whole).run(data, number_of_steps=5)
    self._loop().run(data, number_of_steps=2)
    self._loop().run(data, number_of_steps=5)
    expected, actual = self._values(whole), self._values(self.train_dir)
    self.assertEqual(expected.keys(), actual.keys())
    for name, value in expected.items():
      self.assertAllEqual(value, actual[name], msg=name)

  def test_steps_done_are_not_done_again(self):
    data = self._data()
    self._loop().run(data, number_of_steps=2)
    earlier = self._values(self.train_dir)
    self._loop().run(data, number_of_steps=2)
    for name, value in self._values(self.train_dir).items():
      self.assertAllEqual(earlier[name], value)

  def test_inception_checkpoint_is_for_the_first_start_only(self):
    encoder = self._loop(os.path.join(self.dir, "other")).trainer.model.encoder
    name = "InceptionV3/Conv2d_1a_3x3/weights"
    encoder.variables_by_name[name].assign([7.0])
    folder = self.create_tempdir().full_path
    path = checkpoints.Saver(
        encoder.variables_by_name, folder, max_to_keep=1
    ).save(1)
    loop = self._loop(inception_checkpoint_file=path)
    loop.run(self._data(), number_of_steps=0)
    # Now there is a checkpoint, and the file need not even exist.
    with self.assertLogs("absl", "INFO") as logs:
      loop = self._loop(inception_checkpoint_file="missing")
    self.assertIn("missing was used to start the run", str(logs.output))
    weights = loop.trainer.model.encoder.variables_by_name[name]
    self.assertAllEqual([7.0], weights)

  @parameterized.parameters(signal.SIGTERM, signal.SIGINT)
  def test_signal_stops_with_a_checkpoint(self, number):
    loop = self._loop()
    step_function = loop.trainer.step_function

    def signalling_step_function(batch_spec):
      step = step_function(batch_spec)

      def step_and_signal(batch):
        if loop.trainer.global_step == 1:
          signal.raise_signal(number)
        return step(batch)

      return step_and_signal

    with mock.patch.object(
        loop.trainer, "step_function", signalling_step_function
    ):
      request = loop.run(self._data(), number_of_steps=1000)
    self.assertEqual(128 + number, request.exit_status)
    # The step that was under way is finished.
    self.assertEqual(2, self._values(self.train_dir)["global_step"])

  def test_divergence_names_the_step_and_keeps_the_last_checkpoint(self):
    training = dataclasses.replace(_TRAINING, save_checkpoint_secs=0.0)
    loop = self._loop(training=training)
    loop.run(self._data(), number_of_steps=2)
    loop.trainer.model.decoder.lstm_bias.assign(float("nan") * tf.ones([24]))
    with self.assertRaisesRegex(
        training_loop.DivergedError,
        "global step 3: .*good checkpoint, of step 2",
    ):
      loop.run(self._data(), number_of_steps=9)
    values = self._values(self.train_dir)
    self.assertEqual(2, values["global_step"])
    self.assertAllInRange(values["lstm/basic_lstm_cell/bias"], -1.0, 1.0)

  def test_checkpoints_every_two_steps_at_any_speed(self):
    training = dataclasses.replace(
        _TRAINING, save_checkpoint_steps=2, save_checkpoint_secs=0.0
    )
    self._loop(training=training).run(self._data(), number_of_steps=5)
    names = [name for name in os.listdir(self.train_dir) if "index" in name]
    self.assertCountEqual(
        [f"model.ckpt-{step}.index" for step in (0, 2, 4, 5)], names
    )

  def test_checkpoints_and_summaries_on_the_way(self):
    training = dataclasses.replace(
        _TRAINING,
        save_checkpoint_secs=0.0,
        save_summaries_secs=0.0,
        max_checkpoints_to_keep=2,
    )
    self._loop(training=training).run(self._data(), number_of_steps=3)
    names = os.listdir(self.train_dir)
    self.assertContainsSubset(
        ["model.ckpt-2.index", "model.ckpt-3.index"], names
    )
    self.assertNotIn("model.ckpt-1.index", names)
    tags = set()
    for file in tf.io.gfile.glob(self.train_dir + "/events*"):
      for record in tf.data.TFRecordDataset(file):
        event = tf.compat.v1.Event.FromString(record.numpy())
        tags.update(value.tag for value in event.summary.value)
    self.assertContainsSubset(
        [
            "losses/batch_loss",
            "losses/total_loss",
            "OptimizeLoss/learning_rate",
            "OptimizeLoss/global_norm/clipped_gradient_norm",
            "caption_length/batch_mean",
            "config",
            "parameters/lstm/basic_lstm_cell/kernel",
        ],
        tags,
    )

  def test_other_optimizer_starts_with_new_slots(self):
    self._loop().run(self._data(), number_of_steps=1)
    loop = self._loop(
        training=dataclasses.replace(_TRAINING, optimizer="momentum")
    )
    self.assertEqual(1, loop.trainer.global_step)
    loop.run(self._data(), number_of_steps=2)

  def test_averages_begin_with_the_weights_they_find(self):
    self._loop().run(self._data(), number_of_steps=2)
    before = self._values(self.train_dir)
    averaging = dataclasses.replace(_TRAINING, ema_decay=0.9)
    with self.assertLogs("absl", "INFO") as logs:
      loop = self._loop(training=averaging)
    self.assertNotIn("are initialized", "\n".join(logs.output))
    name = "logits/biases"
    average = loop.trainer.checkpoint_variables()[
        f"{name}/ExponentialMovingAverage"
    ]
    self.assertAllEqual(before[name], average)
    loop.run(self._data(), number_of_steps=4)
    after = self._values(self.train_dir)
    # A resumed run continues with them.
    resumed = self._loop(training=averaging).trainer.checkpoint_variables()
    stored = after[f"{name}/ExponentialMovingAverage"]
    self.assertAllEqual(stored, resumed[f"{name}/ExponentialMovingAverage"])
    self.assertNotAllClose(after[name], stored)
    # Without them the checkpoint loads as any other.
    self.assertEqual(4, self._loop().trainer.global_step)

  @parameterized.product(had_config=(True, False), is_described=(True, False))
  def test_word_beyond_the_vocabulary(self, had_config, is_described):
    if had_config:
      os.makedirs(self.train_dir)
      saved_config.save(self.train_dir, tiny.CONFIG, _TRAINING)
    data = self._data(word_ids=[tiny.START_ID, 12, tiny.END_ID])
    with (
        mock.patch.object(
            dataset_facts,
            "largest_word_id",
            return_value=12 if is_described else None,
        ),
        self.assertRaisesRegex(
            ValueError, "word id 12, .* vocab_size of 12.*=vocab_size=13"
        ),
    ):
      self._loop().run(data, number_of_steps=1)
    # Nothing stands in the way of the corrected command.
    self.assertIsNone(checkpoint_paths.find_latest(self.train_dir))
    self.assertEqual(had_config, "config.json" in os.listdir(self.train_dir))
    self.assertNotIn("checkpoint", os.listdir(self.train_dir))

  def test_word_beyond_the_vocabulary_of_a_run_that_resumes(self):
    self._loop().run(self._data(), number_of_steps=1)
    before = sorted(os.listdir(self.train_dir))
    data = self._data(word_ids=[tiny.START_ID, 12, tiny.END_ID])
    with self.assertRaisesRegex(ValueError, "word id 12"):
      self._loop().run(data, number_of_steps=2)
    after = sorted(os.listdir(self.train_dir))
    events = [name for name in after if "tfevents" in name]
    self.assertEqual(before, sorted({*after} - {events[-1]}))

  def test_nothing_left_to_train(self):
    self._loop().run(self._data(), number_of_steps=2)
    with self.assertLogs("absl", "INFO") as logs:
      self._loop().run(self._data(), number_of_steps=1)
    self.assertRegex(
        "\n".join(logs.output),
        r"Nothing to train.*reached global step 2, and --number_of_steps is 1\."
        r"(.|\n)*Finished training! Saving model to disk\.",
    )

  def test_a_run_that_can_not_begin_leaves_nothing(self):
    data = dataclasses.replace(self._data(), are_features=False)
    with self.assertRaisesRegex(ValueError, "features instead of images"):
      self._loop().run(data, number_of_steps=1)
    self.assertIsNone(checkpoint_paths.find_latest(self.train_dir))
    self.assertNotIn("config.json", os.listdir(self.train_dir))

  def test_another_model_needs_another_folder(self):
    self._loop().run(self._data(), number_of_steps=0)
    config = dataclasses.replace(tiny.CONFIG, vocab_size=13)
    with self.assertRaisesRegex(ValueError, "needs another --train_dir"):
      training_loop.TrainingLoop(
          model_config=config,
          training_config=_TRAINING,
          train_dir=self.train_dir,
          checkpoint=checkpoints.find_readable(self.train_dir),
      )

  def test_corrupt_record_names_its_file(self):
    data = self._data()
    with open(data.files[0], "r+b") as file:
      file.seek(-40, os.SEEK_END)
      file.write(b"rubbish")
    with self.assertRaisesRegex(ValueError, f"Record 5 of {data.files[0]}"):
      self._loop().run(data, number_of_steps=9)


class TrainingOnImagesTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(
      # SGD has no slots: the variables are those of the released checkpoints.
      ("SGD", {}, 383),
      # Two slots for each of the 194 trained variables, and the powers, which
      # start anew in phase 2.
      ("adam", {"beta1_power": 0.9**3}, 383 + 2 * 194 + 2),
  )
  def test_both_phases(self, optimizer, slots, num_variables):
    folder = self.create_tempdir().full_path
    data = caption_data.CaptionData(
        files=[tiny.write_pairs(folder, "train-00000-of-00001", 5)],
        config=tiny.CONFIG,
    )
    train_dir = os.path.join(folder, "train")
    checkpoint = None
    for train_inception in (False, True):
      loop = training_loop.TrainingLoop(
          model_config=tiny.CONFIG,
          training_config=configuration.TrainingConfig(
              optimizer=optimizer, initial_learning_rate=0.001
          ),
          train_dir=train_dir,
          checkpoint=checkpoint,
          options=trainers.StepOptions(train_inception=train_inception),
      )
      steps = loop.trainer.global_step + 2
      loop.run(data, number_of_steps=steps)
      checkpoint = loop.checkpoint
    reader = tf.train.load_checkpoint(checkpoint_paths.find(train_dir))
    self.assertEqual(4, reader.get_tensor("global_step"))
    self.assertLen(reader.get_variable_to_shape_map(), num_variables)
    for name, value in slots.items():
      self.assertAllClose(value, reader.get_tensor(name))


class TrainingPaceTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.now = 100.0
    self.enter_context(
        mock.patch.object(training_loop.time, "monotonic", lambda: self.now)
    )

  def test_timer_is_due_once_an_interval(self):
    timer = training_loop.Timer(10.0)
    self.assertFalse(timer.is_due())
    self.now = 110.0
    self.assertTrue(timer.is_due())
    self.assertFalse(timer.is_due())

  def test_timer_that_is_due_at_once(self):
    self.assertTrue(training_loop.Timer(10.0, due_at_once=True).is_due())

  def test_speed_and_what_is_left(self):
    pace = training_loop.Pace(step=50)
    self.now = 105.0
    with self.assertNoLogs("absl"):
      pace.log(55, 1000)
    self.now = 120.0
    with self.assertLogs("absl", "INFO") as logs:
      pace.log(60, 1000)
    # 10 steps in 20 s; 940 are left.
    self.assertIn("global_step/sec: 0.5 (0:31:20 left)", logs.output[0])
    self.assertEqual(0.5, pace.steps_per_second)


if __name__ == "__main__":
  tf.test.main()
