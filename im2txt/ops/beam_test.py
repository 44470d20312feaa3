"""Tests of beam."""

import numpy as np
import tensorflow as tf

from im2txt.ops import beam


def _captions(*scores):
  """One image's captions of one word, their ranks, with these scores."""
  captions = beam.start(tf.constant(1), len(scores), 2, start_id=0)
  return captions._replace(
      word_ids=captions.word_ids + tf.range(len(scores))[:, tf.newaxis],
      log_probs=tf.constant([scores], tf.float64),
      scores=tf.constant([scores], tf.float64),
  )


class BeamTest(tf.test.TestCase):

  def test_starts_with_one_caption_an_image(self):
    captions = beam.start(tf.constant(2), 3, 4, start_id=5)
    self.assertAllEqual(captions.exist, [[True, False, False]] * 2)
    self.assertAllEqual(captions.word_ids[:, 0, 0], [5, 5])
    self.assertAllEqual(captions.log_probs[:, 0], [0.0, 0.0])
    self.assertAllEqual(captions.lengths[:, 0], [1, 1])

  def test_appends_a_word(self):
    captions = beam.start(tf.constant(1), 2, 3, start_id=5)
    captions = beam.append(
        captions, tf.constant([[6, 7]]), tf.constant([[-1.0, -2.0]], tf.float64)
    )
    captions = beam.append(captions, 8, tf.constant([[-0.5, -1]], tf.float64))
    self.assertAllEqual(captions.word_ids[0, 0], [5, 6, 8])
    self.assertAllEqual(captions.word_log_probs[0, 0], [0.0, -1.0, -0.5])
    self.assertAllEqual(captions.log_probs, [[-1.5, -np.inf]])
    self.assertAllEqual(captions.scores, [[-1.5, -np.inf]])
    self.assertAllEqual(captions.lengths[0, 0], 3)

  def test_an_impossible_word_ends_a_caption(self):
    captions = beam.start(tf.constant(1), 1, 3, start_id=5)
    captions = beam.append(captions, 6, tf.constant([[-np.inf]], tf.float64))
    self.assertAllEqual(captions.exist, [[False]])

  def test_takes_by_rank(self):
    captions = beam.take(_captions(-1.0, -2.0, -3.0), tf.constant([[2, 0, 0]]))
    self.assertAllEqual(captions.word_ids[0, :, 0], [2, 0, 0])
    self.assertAllEqual(captions.scores, [[-3.0, -1.0, -1.0]])

  def test_drops(self):
    captions = beam.drop(_captions(-1.0, -2.0), tf.constant([[True, False]]))
    self.assertAllEqual(captions.exist, [[False, True]])
    self.assertAllEqual(captions.scores, [[-np.inf, -2.0]])

  def test_the_best_of_equal_scores_are_the_earlier(self):
    later = _captions(-1.0, -2.0)
    later = later._replace(word_ids=later.word_ids + 10)
    captions = beam.best(_captions(-1.0, -3.0), later)
    self.assertAllEqual(captions.word_ids[0, :, 0], [0, 10])
    captions = beam.best(_captions(-2.0, -2.0), later)
    self.assertAllEqual(captions.word_ids[0, :, 0], [10, 0])

  def test_chooses_by_image(self):
    one, other = (
        beam.start(tf.constant(2), 1, 2, start_id=i) for i in range(2)
    )
    captions = beam.choose(tf.constant([False, True]), one, other)
    self.assertAllEqual(captions.word_ids[:, 0, 0], [1, 0])

  def _proposals(self):
    """The first caption's: the end (9), 7 and 8; the second's: 7 and 8, 3."""
    word_ids = tf.constant([[[9, 7, 8], [7, 8, 3]]])
    return beam.Proposals(
        word_ids=word_ids,
        log_probs=tf.constant(
            [[[-1.0, -2.0, -4.0], [-1.0, -2.0, -np.inf]]], tf.float64
        ),
        are_end=word_ids == 9,
        rows=tf.constant([[5, 6]]),
    )

  def test_ends_where_the_end_word_is_proposed(self):
    ended = beam.end(
        _captions(-1.0, -2.0),
        self._proposals(),
        9,
        penalty=tf.constant(2.0, tf.float64),
    )
    self.assertAllEqual(ended.exist, [[True, False]])
    self.assertAllEqual(ended.word_ids[0, 0], [0, 9])
    self.assertAllEqual(ended.log_probs[0, 0], -2.0)
    self.assertAllEqual(ended.scores[0, 0], -1.0)

  def test_goes_on_with_the_likeliest_other_words(self):
    # Both 0 7 and 1 7 have -3; 1 8 has -4 and 0 8 has -5.
    go_on = tf.function(beam.go_on, autograph=False)
    for function in (beam.go_on, go_on):
      captions, rows = function(_captions(-1.0, -2.0), self._proposals())
      self.assertAllEqual(captions.word_ids, [[[0, 7], [1, 7]]])
      self.assertAllEqual(captions.log_probs, [[-3.0, -3.0]])
      self.assertAllEqual(captions.word_log_probs, [[[0, -2.0], [0, -1.0]]])
      self.assertAllEqual(rows, [[5, 6]])
    later, rows = beam.go_on(_captions(-9.0, -2.0), self._proposals())
    self.assertAllEqual(later.word_ids, [[[1, 7], [1, 8]]])
    self.assertAllEqual(rows, [[6, 6]])


if __name__ == "__main__":
  tf.test.main()
