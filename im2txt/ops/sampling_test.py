"""Tests of sampling with decoders of known distributions."""

from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.ops import sampling

_START, _END = 1, 2

# Distribution of the next word after each word, by image.
_TABLES = np.array(
    [
        # <S> 3 3 ..., without an end.
        [[0, 0, 0, 1, 0], [0, 0, 0, 1, 0], [1, 0, 0, 0, 0]]
        + [[0.2, 0, 0.3, 0.5, 0]] * 2,
        # <S> 4 3 </S>
        [[0, 0, 0, 1, 0], [0.1, 0, 0.2, 0.2, 0.5], [1, 0, 0, 0, 0]]
        + [[0, 0, 0.6, 0.4, 0], [0, 0, 0.3, 0.7, 0]],
    ],
    np.float32,
)


def _decode_step(word_ids, state):
  """Decodes a word; a state is an image's number and the number of words."""
  image = tf.cast(state[:, 0], tf.int32)
  probabilities = tf.gather_nd(_TABLES, tf.stack([image, word_ids], axis=1))
  return probabilities, state + [[0.0, 1.0]]


def _draw(images, *, max_length=4, seed=None, **options):
  states = tf.stack([tf.cast(images, tf.float32), tf.zeros(len(images))], 1)
  return sampling.draw_captions(
      _decode_step,
      states,
      start_id=_START,
      end_id=_END,
      max_length=max_length,
      seed=seed,
      **options,
  )


def _wrappers():
  return parameterized.named_parameters(
      ("eager", lambda function: function),
      ("graph", lambda function: tf.function(function, autograph=False)),
  )


class CaptionSamplingTest(parameterized.TestCase, tf.test.TestCase):

  @_wrappers()
  def test_greedy(self, wrap):
    drawn = wrap(lambda: _draw([0, 1]))()
    self.assertAllEqual([[3, 3, 3, 3], [4, 3, _END, 0]], drawn.word_ids)
    self.assertAllEqual([4, 3], drawn.lengths)
    self.assertEqual(tf.int32, drawn.word_ids.dtype)

  def test_stops_when_all_have_ended(self):
    drawn = _draw([1, 1], max_length=1000)
    self.assertAllEqual([[4, 3, _END]] * 2, drawn.word_ids)

  @_wrappers()
  def test_words_have_their_probabilities(self, wrap):
    drawn = wrap(lambda: _draw([1] * 4000, seed=tf.constant([5, 6])))()
    words = drawn.word_ids.numpy()
    first = np.bincount(words[:, 0], minlength=5) / 4000
    self.assertAllClose(_TABLES[1, _START], first, atol=0.03)
    after_4 = words[words[:, 0] == 4, 1]
    self.assertAllClose(
        _TABLES[1, 4], np.bincount(after_4, minlength=5) / 2000, atol=0.05
    )

  def test_padding_and_lengths_of_drawn_captions(self):
    drawn = _draw([0, 1] * 50, seed=tf.constant([1, 2]))
    for words, length in zip(*map(np.asarray, drawn), strict=True):
      self.assertNotIn(_END, words[: length - 1])
      self.assertTrue(length == 4 or words[length - 1] == _END)
      self.assertAllEqual(np.zeros(len(words) - length), words[length:])
    self.assertGreater(len(set(drawn.lengths.numpy())), 2)

  @parameterized.parameters(None, ((1, 2),))
  def test_padded_to_the_greatest_length(self, seed):
    drawn = _draw([1, 1], max_length=9, seed=seed)
    padded = _draw([1, 1], max_length=9, seed=seed, pad_to_max_length=True)
    width = drawn.word_ids.shape[1]
    self.assertLess(width, 9)
    self.assertAllEqual(drawn.lengths, padded.lengths)
    self.assertAllEqual(
        tf.pad(drawn.word_ids, [[0, 0], [0, 9 - width]]), padded.word_ids
    )

  def test_seed_decides(self):
    first, again, other = (
        _draw([1] * 20, seed=tf.constant(seed)).word_ids
        for seed in ([1, 2], [1, 2], [1, 3])
    )
    self.assertAllEqual(first, again)
    self.assertNotEqual(first.numpy().tolist(), other.numpy().tolist())

  def test_steps_differ(self):
    drawn = _draw([0] * 200, seed=tf.constant([3, 4]), max_length=3)
    second, third = drawn.word_ids.numpy()[drawn.lengths == 3, 1:].T
    self.assertGreater(np.mean(second != third), 0.3)


_CAPTIONS = ([1, 4, 5, 2], [1, 4, 6, 2], [1, 7, 2], [1, 4, 2])


class FakeDecoder:
  """A decoder whose state is the sum of the words.

  The log-probability of a next word is the negative sum of state and word id.
  """

  def next_state(self, input_ids, state):
    return state + tf.cast(input_ids, tf.float32)[:, tf.newaxis]

  def next_log_probs(self, state, rows, word_ids):
    state = tf.gather(state[:, 0], rows)
    return -(state + tf.cast(word_ids, tf.float32))


class CaptionLikelihoodTest(tf.test.TestCase):

  def test_tree(self):
    levels = [
        [column.tolist() for column in level]
        for level in sampling.make_tree(_CAPTIONS)
    ]
    # Words and parents of the nodes; nodes, next words and numbers of captions.
    self.assertEqual(
        [
            [[1], [0], [0, 0, 0, 0], [4, 4, 7, 4], [0, 1, 2, 3]],
            [[4, 7], [0, 0], [0, 0, 1, 0], [5, 6, 2, 2], [0, 1, 2, 3]],
            [[5, 6], [0, 0], [0, 1], [2, 2], [0, 1]],
        ],
        levels,
    )

  def test_likelihoods(self):
    likelihood = sampling.CaptionLikelihood(FakeDecoder(), _CAPTIONS)
    self.assertEqual(5, likelihood.num_nodes)
    # Image 10: states 11, 15, 20; words 4, 5, 2: 15 + 20 + 22.
    expected = [-57.0, -15.0 - 21 - 23, -18.0 - 20, -15.0 - 17]
    self.assertAllEqual(expected, likelihood.of_image(tf.constant([10.0])))

  def test_rows_of_logits_in_parts(self):
    captions = [[1, a, b, 2] for a in range(3, 8) for b in range(3, 6)]
    likelihood = sampling.CaptionLikelihood(FakeDecoder(), captions)
    whole = likelihood.of_image(tf.constant([0.0]))
    with mock.patch.object(sampling, "_ROWS_AT_ONCE", 2):
      self.assertAllEqual(whole, likelihood.of_image(tf.constant([0.0])))
    self.assertLen(set(whole.tolist()), 3 * 5)


if __name__ == "__main__":
  tf.test.main()
