"""Tests of perplexity, with a model of known losses."""

import math
import types

import numpy as np
import tensorflow as tf

from im2txt import show_and_tell_model
from im2txt.data import caption_data
from im2txt.evaluation import perplexity
from im2txt.testing import made_up_features
from im2txt.testing import tiny


class FakeModel:
  """Fake of a model whose loss of a word is the word id times ln 2."""

  encoder = types.SimpleNamespace(feature_size=tiny.FEATURE_SIZE)

  def losses(self, batch):
    words = tf.boolean_mask(batch.target_seqs, batch.input_mask > 0)
    losses = tf.cast(words, tf.float32) * math.log(2)
    return show_and_tell_model.Losses(
        losses, tf.cast(tf.size(losses), tf.float32), tf.zeros([]), losses
    )


class PerplexityTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.evaluator = perplexity.PerplexityEvaluator(FakeModel())
    self.dir = self.create_tempdir().full_path

  def _data(self, **kwargs):
    return made_up_features.write(self.dir, 5, **kwargs)

  def test_every_word_once(self):
    # Ten captions in batches of four; start words are not predicted.
    targets = [caption[1:] for caption in tiny.captions(10)]
    num_words = sum(map(len, targets))
    total = sum(map(sum, targets))
    with self.assertLogs("absl", "INFO") as logs:
      result = self.evaluator.evaluate(self._data(), max_examples=100)
    # The number of batches that exist, not that of 100 captions.
    self.assertIn("Computed losses for 1 of 3 batches.", "".join(logs.output))
    self.assertEqual(num_words, result.num_words)
    self.assertAllClose(2 ** (total / num_words), result.perplexity)
    self.assertEqual(2, result.last_batch.images.shape[0])

  def test_first_batches_only(self):
    result = self.evaluator.evaluate(self._data(), max_examples=5)
    captions = tiny.captions(8)  # Two batches of four.
    self.assertEqual(sum(len(c) - 1 for c in captions), result.num_words)

  def test_infinite_perplexity(self):
    result = perplexity.PerplexityResult(1e6, 1, None)
    self.assertEqual(math.inf, result.perplexity)
    self.assertAllClose(
        np.e, perplexity.PerplexityResult(3.0, 3, None).perplexity
    )

  def test_empty_file(self):
    data = caption_data.CaptionData(
        files=[self.create_tempfile("empty").full_path], config=tiny.CONFIG
    )
    with self.assertRaisesRegex(ValueError, "has no captions: .*empty"):
      self.evaluator.evaluate(data, max_examples=5)


if __name__ == "__main__":
  tf.test.main()
