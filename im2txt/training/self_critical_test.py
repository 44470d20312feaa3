"""Tests of self-critical training, on models of a few thousand parameters."""

import contextlib
import dataclasses
import os
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import show_and_tell_model
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.data import caption_data
from im2txt.inference_utils import vocabulary
from im2txt.ops import image_inputs
from im2txt.testing import made_up_features
from im2txt.testing import tiny
from im2txt.training import cider_reward
from im2txt.training import self_critical
from im2txt.training import trainers
from im2txt.training import training_loop

_TRAINING = configuration.TrainingConfig(
    optimizer="adam",
    self_critical_learning_rate=0.02,
    self_critical_samples=4,
    save_summaries_secs=1e9,
)


def setUpModule():
  cpus = tf.config.list_physical_devices("CPU")
  tf.config.set_logical_device_configuration(
      cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
  )


class SelfCriticalTestCase(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(self.dir))

  def _features(self, **kwargs):
    return made_up_features.write(self.dir, 6, **kwargs)

  def _pairs(self):
    return caption_data.CaptionData(
        files=[tiny.write_pairs(self.dir, "pairs", 12, 2)], config=tiny.CONFIG
    )

  def _objective(self, data, config=_TRAINING):
    return self_critical.SelfCritical(data, self.vocab, config)


class ReadImagesTest(SelfCriticalTestCase):

  @parameterized.parameters("_features", "_pairs")
  def test_references_and_batches(self, make):
    data = self_critical.read_images(getattr(self, make)(), self.vocab)
    captions = tiny.captions(12)
    self.assertEqual(
        {i: captions[2 * i : 2 * i + 2] for i in range(6)}, data.split.word_ids
    )
    batches = data.training_batches(
        seed=1, start_step=0, feature_size=tiny.FEATURE_SIZE
    )
    ids = [batch.image_ids for batch in batches.take(3)]
    self.assertAllEqual([2] * 6, np.bincount(np.concatenate(ids)))

  @parameterized.named_parameters(
      # The eleven words' ids are 0 to 10.
      ("word_beyond_it", [1, 11, 2]),
      ("start_word", [0, 3, 2]),
      ("end_word", [1, 3, 0]),
  )
  def test_vocabulary_of_other_captions(self, word_ids):
    data = self._features(word_ids=word_ids)
    with self.assertRaisesRegex(
        ValueError,
        rf"{self.vocab.vocab_file} does not match the captions: .* of image 0"
        rf" has the word ids \{word_ids}, but the vocabulary has 11 words,"
        " starts captions with 1 and ends them with 2. --vocab_file must be",
    ):
      self_critical.read_images(data, self.vocab)

  def test_vocabulary_in_another_order(self):
    first, *others = tiny.WORDS[3:]
    other = vocabulary.Vocabulary(
        tiny.write_vocabulary(self.dir, words=[*tiny.WORDS[:3], *others, first])
    )
    with self.assertRaisesRegex(
        ValueError, "does not match the captions: a caption of image 0 is .*"
    ):
      self_critical.read_images(self._pairs(), other)

  @parameterized.parameters(True, False)
  def test_frequencies_of_another_order(self, is_other):
    words = [f"word{i}" for i in range(97)]
    counts = [1000 - 10 * i for i in range(97)]
    if is_other:
      np.random.default_rng(1).shuffle(counts)
    lines = ["<S> 9999", "</S> 9999", *map("{} {}".format, words, counts)]
    path = self.create_tempfile("counts.txt", "\n".join(lines)).full_path
    vocab = vocabulary.Vocabulary(path)
    # Word i occurs 99 - i times.
    captions = [[0, *range(2, 99 - n), 1] for n in range(97)]
    raises = self.assertRaisesRegex(ValueError, "are not the frequent words")
    with raises if is_other else contextlib.nullcontext():
      self_critical._check_frequencies(captions, vocab)

  def test_vocabulary_larger_than_the_model(self):
    data = self._features()
    config = dataclasses.replace(tiny.CONFIG, vocab_size=10)
    data = dataclasses.replace(data, config=config)
    with self.assertRaisesRegex(ValueError, "has 11 words.* vocab_size=10"):
      self_critical.read_images(data, self.vocab)


class FakeEncoderTestCase(SelfCriticalTestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(made_up_features.accepted())
    self.data = self_critical.read_images(self._features(), self.vocab)


class LossesTest(FakeEncoderTestCase):

  def _losses(self, num_samples, rewards=None):
    """Returns losses of two images with given or computed rewards."""
    config = dataclasses.replace(_TRAINING, self_critical_samples=num_samples)
    objective = self._objective(self.data, config)
    model = show_and_tell_model.ShowAndTellModel(tiny.CONFIG, "train")
    asked = []

    def reward(self, image_ids, captions, lengths):
      del self
      asked.append((image_ids.tolist(), captions, lengths))
      return np.array(rewards.pop(0))

    batch = image_inputs.ImageBatch(
        tf.random.stateless_normal([2, tiny.FEATURE_SIZE], [1, 2]),
        tf.constant([4, 2], tf.int64),
    )
    with mock.patch.object(cider_reward.CiderReward, "__call__", reward):
      # Of two requests for rewards a graph may make either first.
      compute = objective.losses
      if num_samples > 1:
        compute = tf.function(compute, autograph=False)
      losses = compute(model, batch.images, batch, seed=tf.constant([3, 4]))
    entropy = losses.measures["self_critical/entropy"]
    return losses, entropy, asked

  def test_baseline_is_the_greedy_caption(self):
    losses, entropy, asked = self._losses(1, [[0.5, 2.0], [0.25, 3.0]])
    self.assertEqual([[4, 2], [4, 2]], [ids for ids, *_ in asked])
    length = asked[0][2][0]
    # An untrained model's words are all about as likely.
    word_loss = np.log(tiny.VOCAB_SIZE)
    self.assertAllClose(word_loss, entropy, atol=0.1)
    self.assertLen(losses.smoothed_losses, sum(asked[0][2]))
    self.assertAllClose(
        [0.25 * word_loss] * length, losses.smoothed_losses[:length], atol=0.1
    )
    self.assertAllClose(
        [-1.0 * word_loss] * asked[0][2][1],
        losses.smoothed_losses[length:],
        atol=0.1,
    )
    self.assertAllClose(1.25, losses.measures["self_critical/reward"])
    self.assertAllClose(1.625, losses.measures["self_critical/baseline"])

  def test_baseline_is_the_mean_of_the_other_samples(self):
    rewards = [1.0, 2.0, 6.0, 0.5, 0.5, 0.5]
    losses, _, asked = self._losses(3, [rewards])
    ((ids, _, lengths),) = asked
    self.assertEqual([4, 4, 4, 2, 2, 2], ids)
    advantages = np.repeat([-3.0, -1.5, 4.5, 0, 0, 0], lengths)
    self.assertAllClose(advantages * losses.word_losses, losses.smoothed_losses)
    self.assertAllClose(
        [np.log(tiny.VOCAB_SIZE)] * sum(lengths), losses.word_losses, atol=0.2
    )
    # What the step tells as losses/batch_loss.
    self.assertAllClose(np.mean(losses.word_losses), losses.batch_loss)
    self.assertAllClose(np.mean(losses.smoothed_losses), losses.total_loss)
    self.assertNotIn("self_critical/baseline", losses.measures)
    self.assertAllClose(
        np.mean(lengths), losses.measures["self_critical/length"]
    )

  def test_samples_are_scored_with_their_end_words(self):
    _, _, asked = self._losses(50, [np.zeros(100)])
    ((_, captions, lengths),) = asked
    is_cut_off = lengths == 20
    last = captions[np.arange(100), lengths - 1]
    self.assertAllEqual([tiny.END_ID] * sum(~is_cut_off), last[~is_cut_off])
    self.assertGreater(sum(~is_cut_off), 50)


class TrainingTest(FakeEncoderTestCase):

  def _run(self, steps, train_dir="train", is_self_critical=True):
    folder = os.path.join(self.dir, train_dir)
    objective = self._objective(self.data) if is_self_critical else None
    loop = training_loop.TrainingLoop(
        model_config=tiny.CONFIG,
        training_config=_TRAINING,
        train_dir=folder,
        checkpoint=checkpoints.find_readable(folder),
        options=trainers.StepOptions(objective=objective),
    )
    data = self.data if is_self_critical else self._features()
    loop.run(data, number_of_steps=steps)
    reader = tf.train.load_checkpoint(checkpoint_paths.find(folder))
    names = reader.get_variable_to_shape_map()
    return {name: reader.get_tensor(name) for name in names}

  @parameterized.parameters(1, 4)
  def test_reward_rises(self, num_samples):
    config = dataclasses.replace(_TRAINING, self_critical_samples=num_samples)
    objective = self._objective(self.data, config)
    trainer = trainers.Trainer(
        tiny.CONFIG, config, trainers.StepOptions(objective=objective)
    )
    batches = self.data.training_batches(
        seed=1, start_step=0, feature_size=tiny.FEATURE_SIZE
    )
    step = trainer.step_function(batches.element_spec)
    rewards = []
    for batch in batches.take(150):
      metrics = step(batch)
      rewards.append(float(metrics.measures["self_critical/reward"]))
    self.assertAllClose(0.02, metrics.learning_rate)
    self.assertGreater(np.mean(rewards[-30:]), 2 * np.mean(rewards[:30]))

  def test_resumed_run_equals_an_uninterrupted_one(self):
    expected = self._run(4, "whole")
    self._run(2)
    actual = self._run(4)
    self.assertEqual(expected.keys(), actual.keys())
    for name, value in expected.items():
      self.assertAllEqual(value, actual[name], msg=name)
    self.assertEqual(4, actual["global_step"])

  def test_optimizer_starts_anew(self):
    self._run(2, is_self_critical=False)
    with self.assertLogs("absl", "INFO") as logs:
      values = self._run(3)
    self.assertIn("14 variables of the optimizer are", "".join(logs.output))
    self.assertNotIn("beta2_power", values)
    self.assertAllClose(0.999**2, values["self_critical/beta2_power"])

  def test_scheduled_sampling_is_not_for_it(self):
    config = dataclasses.replace(_TRAINING, scheduled_sampling="linear")
    for objective in (None, self._objective(self.data)):
      trainer = trainers.Trainer(
          tiny.CONFIG, config, trainers.StepOptions(objective=objective)
      )
      probability = trainer.sampling_probability(tf.constant(3))
      self.assertEqual(objective is None, probability is not None)

  def test_two_replicas(self):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    trainer = trainers.Trainer(
        tiny.CONFIG,
        _TRAINING,
        trainers.StepOptions(objective=self._objective(self.data)),
        strategy=strategy,
    )
    batches = iter(
        strategy.experimental_distribute_dataset(
            self.data.training_batches(
                seed=1, start_step=0, feature_size=tiny.FEATURE_SIZE
            )
        )
    )
    metrics = trainer.step_function(batches.element_spec)(next(batches))
    self.assertBetween(
        float(metrics.measures["self_critical/entropy"]), 2.3, 2.6
    )


class ImagesTest(SelfCriticalTestCase):

  @parameterized.parameters(False, True)
  def test_trains_on_images(self, train_inception):
    data = self_critical.read_images(self._pairs(), self.vocab)
    objective = self._objective(data)
    trainer = trainers.Trainer(
        tiny.CONFIG,
        _TRAINING,
        trainers.StepOptions(
            train_inception=train_inception, objective=objective
        ),
    )
    variables = trainer.model.checkpoint_variables()
    earlier = {name: variable.numpy() for name, variable in variables.items()}
    batches = data.training_batches(
        seed=1, start_step=0, feature_size=tiny.FEATURE_SIZE
    )
    step = trainer.step_function(batches.element_spec)
    batch = next(iter(batches))
    metrics = step(batch)
    self.assertAllClose(
        metrics.measures["self_critical/entropy"], metrics.batch_loss
    )
    features = tf.zeros([len(batch.image_ids), tiny.FEATURE_SIZE])
    losses = objective.losses(
        trainer.model, features, batch, seed=tf.constant([3, 4])
    )
    self.assertEqual(train_inception, losses.regularization_loss > 0)
    changed = {
        name
        for name, value in earlier.items()
        if np.any(value != variables[name].numpy())
    }
    self.assertIn("logits/weights", changed)
    kernel = "InceptionV3/Mixed_7c/Branch_0/Conv2d_0a_1x1/weights"
    self.assertEqual(train_inception, kernel in changed)


if __name__ == "__main__":
  tf.test.main()
