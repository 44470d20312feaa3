"""Tests of label smoothing against its definition, in float64 NumPy."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.ops import label_smoothing


def _numpy_losses(logits, targets, share):
  """Cross-entropies against distributions that are written out."""
  num_words, vocab_size = logits.shape
  log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
  distributions = np.full(logits.shape, share / vocab_size)
  distributions[np.arange(num_words), targets] += 1 - share
  return -(distributions * log_probs).sum(1)


def _losses(logits, targets, share):
  word_losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
  return label_smoothing.smoothed_losses(
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
    loss = _losses(tf.math.log([[0.75, 0.25]]), tf.constant([0]), 0.2)
    self.assertAllClose([0.397543], loss)

  @parameterized.product(
      share=(0.1, 0.5),
      wrap=(lambda f: f, lambda f: tf.function(f, autograph=False)),
  )
  def test_equals_numpy(self, share, wrap):
    losses = wrap(lambda z, y: _losses(z, y, share))(
        tf.constant(self.logits, tf.float32), tf.constant(self.targets)
    )
    self.assertAllClose(
        _numpy_losses(self.logits, self.targets, share), losses, 1e-5
    )

  def test_gradient_is_softmax_less_target(self):
    logits = tf.constant(self.logits)
    with tf.GradientTape() as tape:
      tape.watch(logits)
      loss = tf.reduce_sum(_losses(logits, tf.constant(self.targets), 0.3))
    expected = tf.nn.softmax(logits) - (
        0.7 * tf.one_hot(self.targets, 7, dtype=tf.float64) + 0.3 / 7
    )
    self.assertAllClose(expected, tape.gradient(loss, logits))

  def test_nothing_is_computed_without_it(self):
    losses = tf.constant([1.0])
    self.assertIs(
        losses,
        label_smoothing.smoothed_losses(
            losses,
            tf.constant([[1.0, 2.0]]),
            tf.constant([0]),
            label_smoothing=0.0,
        ),
    )


if __name__ == "__main__":
  tf.test.main()
