"""Tests of likelihoods, with a decoder whose probabilities are known."""

from unittest import mock

import tensorflow as tf

from im2txt.ops import caption_likelihood

_CAPTIONS = ([1, 4, 5, 2], [1, 4, 6, 2], [1, 7, 2], [1, 4, 2])


class FakeDecoder:
  """The state is the sum of the words; the next word costs state + its id."""

  def next_state(self, input_ids, state):
    return state + tf.cast(input_ids, tf.float32)[:, tf.newaxis]

  def next_log_probs(self, state, rows, word_ids):
    state = tf.gather(state[:, 0], rows)
    return -(state + tf.cast(word_ids, tf.float32))


class CaptionLikelihoodTest(tf.test.TestCase):

  def test_tree(self):
    levels = [
        [column.tolist() for column in level]
        for level in caption_likelihood.make_tree(_CAPTIONS)
    ]
    # Words and parents; of each caption the node, next word and number.
    self.assertEqual(
        [
            [[1], [0], [0, 0, 0, 0], [4, 4, 7, 4], [0, 1, 2, 3]],
            [[4, 7], [0, 0], [0, 0, 1, 0], [5, 6, 2, 2], [0, 1, 2, 3]],
            [[5, 6], [0, 0], [0, 1], [2, 2], [0, 1]],
        ],
        levels,
    )

  def test_likelihoods(self):
    likelihood = caption_likelihood.CaptionLikelihood(FakeDecoder(), _CAPTIONS)
    self.assertEqual(5, likelihood.num_nodes)
    # Image 10: states 11, 15, 20; words 4, 5, 2: 15 + 20 + 22.
    expected = [-57.0, -15.0 - 21 - 23, -18.0 - 20, -15.0 - 17]
    self.assertAllEqual(expected, likelihood.of_image(tf.constant([10.0])))

  def test_rows_of_logits_in_parts(self):
    captions = [[1, a, b, 2] for a in range(3, 8) for b in range(3, 6)]
    likelihood = caption_likelihood.CaptionLikelihood(FakeDecoder(), captions)
    whole = likelihood.of_image(tf.constant([0.0]))
    with mock.patch.object(caption_likelihood, "_ROWS_AT_ONCE", 2):
      self.assertAllEqual(whole, likelihood.of_image(tf.constant([0.0])))
    self.assertLen(set(whole.tolist()), 3 * 5)


if __name__ == "__main__":
  tf.test.main()
