"""Tests of captions."""

import math

import tensorflow as tf

from im2txt.inference import captions
from im2txt.inference_utils import vocabulary
from im2txt.ops import beam_search
from im2txt.testing import tiny


class CaptionsTest(tf.test.TestCase):

  def test_puts_a_search_result_into_words(self):
    # 1 <S>, 2 </S>, 4 "red", 7 "sky", 11 no word.
    half, quarter = math.log(0.5), math.log(0.25)
    result = beam_search.BeamSearchResult(
        word_ids=tf.constant(
            [[[1, 4, 7, 2], [1, 2, 2, 2]], [[1, 11, 4, 7], [2, 2, 2, 2]]]
        ),
        lengths=tf.constant([[4, 2], [4, 0]]),
        log_probs=tf.constant([[4 * half, quarter], [3 * half, -math.inf]]),
        scores=tf.constant([[half, quarter / 2], [3 * half, -math.inf]]),
        word_log_probs=tf.constant(
            [
                [[0, half, half, quarter], [0, quarter, 0, 0]],
                [[0, half, half, half], [0, 0, 0, 0]],
            ]
        ),
        is_complete=tf.constant([True, False]),
        num_captions=tf.constant([2, 1]),
    )
    vocab = vocabulary.Vocabulary(
        tiny.write_vocabulary(self.create_tempdir().full_path)
    )
    with self.assertLogs("absl", "WARNING") as logs:
      (long, empty), (incomplete,) = captions.from_search(result, vocab)
    self.assertLen(logs.output, 1)
    self.assertIn("word id 11, but the vocabulary has 11", logs.output[0])

    self.assertEqual(long.words, ("red", "sky"))
    self.assertEqual(long.sentence, "red sky")
    self.assertAllClose(long.word_probabilities, (0.5, 0.5))
    self.assertAllClose(long.end_probability, 0.25)
    self.assertAllClose(long.probability, 1 / 16)
    self.assertAllClose(long.log_probability, 4 * half)
    self.assertAllClose(long.score, half)
    self.assertTrue(long.is_complete)

    self.assertEqual((empty.words, empty.sentence), ((), ""))
    self.assertAllClose(empty.end_probability, 0.25)

    self.assertEqual(incomplete.words, ("<UNK>", "red", "sky"))
    self.assertAllClose(incomplete.word_probabilities, (0.5, 0.5, 0.5))
    self.assertIsNone(incomplete.end_probability)
    self.assertFalse(incomplete.is_complete)

  def test_a_tiny_probability_is_not_zero(self):
    for log_probability, expected in ((-700.0, math.exp(-700)), (-800, 5e-324)):
      caption = captions.Caption(
          words=("red",),
          log_probability=log_probability,
          word_probabilities=(1.0,),
          end_probability=None,
          score=log_probability,
      )
      self.assertEqual(caption.probability, expected)


if __name__ == "__main__":
  tf.test.main()
