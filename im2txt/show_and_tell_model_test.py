"""Tests of the model as a whole."""

import dataclasses

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import show_and_tell_model
from im2txt.ops import inputs
from im2txt.testing import tiny


def _batch(images):
  captions = tiny.captions(2)
  width = max(map(len, captions))
  padded = np.zeros([2, width], np.int64)
  for row, caption in zip(padded, captions, strict=True):
    row[: len(caption)] = caption
  return inputs.make_batch(
      images, tf.constant(padded), tf.constant([len(c) for c in captions])
  )


def _images(seed=1):
  rng = np.random.default_rng(seed)
  return tf.constant(rng.uniform(-1, 1, [2, 75, 75, 3]), tf.float32)


def _losses(model, batch, seed=(1, 2)):
  @tf.function(autograph=False)
  def run():
    losses = model.losses(batch, dropout_seed=tf.constant(seed))
    return losses.word_losses, losses.batch_loss, losses.total_loss

  return run()


class ShowAndTellModelTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    make = show_and_tell_model.ShowAndTellModel
    cls.eval_model = make(tiny.CONFIG, "eval")
    cls.finetuned_model = make(tiny.CONFIG, "train", True)

  def test_checkpoint_variables(self):
    variables = self.eval_model.checkpoint_variables()
    self.assertLen(variables, 383)
    self.assertEqual(tf.int32, variables["global_step"].dtype)
    self.assertEqual((), variables["global_step"].shape)

  def test_frozen_encoder_is_not_trained(self):
    self.assertLen(self.eval_model.trainable_variables_by_name(), 6)

  def test_fine_tuning_trains_the_encoder(self):
    # 94 kernels and 94 offsets besides the decoder's.
    trained = self.finetuned_model.trainable_variables_by_name()
    self.assertLen(trained, 6 + 2 * 94)

  def test_losses_are_the_cross_entropy_of_the_decoders_words(self):
    batch = _batch(_images())
    word_losses, batch_loss, total_loss = _losses(self.eval_model, batch)
    features = self.eval_model.encoder(batch.images)
    logits = (
        self.eval_model.decoder.word_logits(
            features, batch.input_seqs, batch.input_mask
        )
        .numpy()
        .astype(np.float64)
    )
    targets = batch.target_seqs.numpy()[batch.input_mask.numpy() == 1]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(shares[np.arange(len(targets)), targets])
    self.assertAllClose(expected, word_losses, 1e-5, 1e-5)
    self.assertAllClose(expected.mean(), batch_loss, 1e-5)
    self.assertAllClose(batch_loss, total_loss)

  def test_cached_features_give_the_same_losses(self):
    images = _images()
    features = self.eval_model.encoder(images)
    self.assertAllClose(
        _losses(self.eval_model, _batch(images))[0],
        _losses(self.eval_model, _batch(features))[0],
        1e-4,
    )

  def test_weight_decay(self):
    _, batch_loss, total_loss = _losses(self.finetuned_model, _batch(_images()))
    variables = self.finetuned_model.checkpoint_variables()
    kernels = [
        variable.numpy()
        for name, variable in variables.items()
        if name.startswith("InceptionV3/") and name.endswith("/weights")
    ]
    squares = sum(np.sum(kernel.astype(np.float64) ** 2) for kernel in kernels)
    self.assertAllClose(4e-5 * squares / 2, total_loss - batch_loss, 1e-4)

  def test_dropout_in_training(self):
    batch = _batch(_images())
    losses = _losses(self.finetuned_model, batch, (1, 2))[1]
    self.assertNotAllClose(
        losses, _losses(self.finetuned_model, batch, (1, 3))[1]
    )

  def test_features_cannot_train_the_encoder(self):
    with self.assertRaisesRegex(ValueError, "can't be trained on cached"):
      _losses(self.finetuned_model, _batch(tf.zeros([2, tiny.FEATURE_SIZE])))

  @parameterized.parameters(False, True)
  def test_weights_of_captions(self, at_padding):
    batch = inputs.make_batch(
        tf.zeros([2, 108]),
        tf.constant([[1, 5, 6, 2], [1, 7, 2, 0]], tf.int64),
        tf.constant([4, 3]),
    )
    model = show_and_tell_model.ShowAndTellModel(tiny.CONFIG, "train")
    features = tf.random.stateless_normal([2, 108], [1, 2])
    losses = model.caption_losses(
        features,
        batch,
        caption_weights=tf.constant([2.0, -0.5]),
        at_padding=at_padding,
    )
    self.assertEqual(5, losses.num_words)
    word_losses = losses.word_losses
    smoothed = losses.smoothed_losses
    if at_padding:
      self.assertAllEqual([0, 0], [word_losses[5], smoothed[5]])
      word_losses, smoothed = word_losses[:5], smoothed[:5]
    weights = [2.0, 2.0, 2.0, -0.5, -0.5]
    self.assertAllClose(weights * word_losses, smoothed)
    self.assertAllClose(np.mean(word_losses), losses.batch_loss)

  def test_training_needs_a_seed(self):
    with self.assertRaisesRegex(ValueError, "needs a dropout_seed"):
      self.finetuned_model.losses(_batch(_images()))

  def test_unknown_mode(self):
    with self.assertRaisesRegex(ValueError, "Got: 'test'"):
      show_and_tell_model.ShowAndTellModel(tiny.CONFIG, "test")

  def test_greedy_decoding(self):
    features = self.eval_model.encoder(_images())
    state = self.eval_model.decoder.initial_state(features)
    probabilities, new_state = self.eval_model.decode_step(
        tf.constant([tiny.START_ID] * 2), state
    )
    self.assertEqual((2, tiny.VOCAB_SIZE), probabilities.shape)
    self.assertAllClose([1.0, 1.0], tf.reduce_sum(probabilities, 1))
    self.assertEqual(state.shape, new_state.shape)


class DefaultConfigTest(tf.test.TestCase):

  def test_released_sizes(self):
    config = dataclasses.replace(
        configuration.ModelConfig(), image_height=75, image_width=75
    )
    variables = show_and_tell_model.ShowAndTellModel(
        config, "eval"
    ).checkpoint_variables()
    shapes = {
        name: tuple(variable.shape)
        for name, variable in variables.items()
        if not name.startswith("InceptionV3/")
    }
    self.assertEqual(
        {
            "image_embedding/weights": (2048, 512),
            "seq_embedding/map": (12000, 512),
            "lstm/basic_lstm_cell/kernel": (1024, 2048),
            "lstm/basic_lstm_cell/bias": (2048,),
            "logits/weights": (512, 12000),
            "logits/biases": (12000,),
            "global_step": (),
        },
        shapes,
    )
    # The size of the released checkpoint's data file, in 4-byte values.
    sizes = [int(np.prod(variable.shape)) for variable in variables.values()]
    self.assertEqual(149_002_244 // 4, sum(sizes))


def _numpy_losses(logits, targets, share):
  """Cross-entropies against distributions that are written out."""
  num_words, vocab_size = logits.shape
  log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
  distributions = np.full(logits.shape, share / vocab_size)
  distributions[np.arange(num_words), targets] += 1 - share
  return -(distributions * log_probs).sum(1)


def _losses_label_smoothing(logits, targets, share):
  word_losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
  return show_and_tell_model.smoothed_losses(
      word_losses, logits, targets, label_smoothing=share
  )


class LabelSmoothingTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    rng = np.random.default_rng(3)
    self.logits = rng.normal(scale=3, size=[5, 7])
    self.targets = rng.integers(0, 7, [5])

  def test_by_hand(self):
    # Probabilities 0.75 and 0.25, targets 0.9 and 0.1:
    # -0.9 * log(0.75) - 0.1 * log(0.25).
    loss = _losses_label_smoothing(
        tf.math.log([[0.75, 0.25]]), tf.constant([0]), 0.2
    )
    self.assertAllClose([0.397543], loss)

  @parameterized.product(
      share=(0.1, 0.5),
      wrap=(lambda f: f, lambda f: tf.function(f, autograph=False)),
  )
  def test_equals_numpy(self, share, wrap):
    losses = wrap(lambda z, y: _losses_label_smoothing(z, y, share))(
        tf.constant(self.logits, tf.float32), tf.constant(self.targets)
    )
    self.assertAllClose(
        _numpy_losses(self.logits, self.targets, share), losses, 1e-5
    )

  def test_gradient_is_softmax_less_target(self):
    logits = tf.constant(self.logits)
    with tf.GradientTape() as tape:
      tape.watch(logits)
      loss = tf.reduce_sum(
          _losses_label_smoothing(logits, tf.constant(self.targets), 0.3)
      )
    expected = tf.nn.softmax(logits) - (
        0.7 * tf.one_hot(self.targets, 7, dtype=tf.float64) + 0.3 / 7
    )
    self.assertAllClose(expected, tape.gradient(loss, logits))

  def test_nothing_is_computed_without_it(self):
    losses = tf.constant([1.0])
    self.assertIs(
        losses,
        show_and_tell_model.smoothed_losses(
            losses,
            tf.constant([[1.0, 2.0]]),
            tf.constant([0]),
            label_smoothing=0.0,
        ),
    )


if __name__ == "__main__":
  tf.test.main()
