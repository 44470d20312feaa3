"""Tests of caption_generator."""

import math
import types

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from im2txt.inference_utils import caption_generator

_WORDS = ["a", "<S>", "</S>", "b"]
_VOCAB = types.SimpleNamespace(start_id=1, end_id=2)
_NEVER = [0.0, 0.0, 0.0, 0.0]


class FakeModel:
  """Knows the next word's distribution after each word.

  The state counts the words fed, after the image's 100.
  """

  def __init__(self, table, metadata=None):
    self._table = np.array(table, np.float32)
    self._metadata = metadata
    self.steps = 0

  def feed_image(self, sess, encoded_image):
    assert (sess, encoded_image) == ("session", b"image")
    return np.array([[100.0]], np.float32)

  def inference_step(self, sess, input_feed, state_feed):
    assert sess == "session"
    assert state_feed.shape == (len(input_feed), 1)
    self.steps += 1
    metadata = self._metadata and [self._metadata] * len(input_feed)
    return self._table[input_feed], state_feed + 1, metadata


def _search(model, **kwargs):
  generator = caption_generator.CaptionGenerator(model, _VOCAB, **kwargs)
  return generator.beam_search("session", b"image")


class CaptionGeneratorTest(parameterized.TestCase):

  def assert_captions(self, captions, expected):
    """Compares with (words, probability) pairs."""
    self.assertEqual(
        [" ".join(_WORDS[w] for w in c.sentence) for c in captions],
        [sentence for sentence, _ in expected],
    )
    for caption, (_, probability) in zip(captions, expected, strict=True):
      self.assertAlmostEqual(math.exp(caption.logprob), probability, places=6)

  @parameterized.named_parameters(
      (
          "two_complete_captions",
          [[0.2, 0, 0.5, 0.3], [0.6, 0, 0, 0.4], _NEVER, [0.1, 0, 0.8, 0.1]],
          [("<S> b </S>", 0.32), ("<S> a </S>", 0.3)],
      ),
      (
          "one_word_at_the_most",
          [_NEVER, [0, 0, 0.7, 0.3], _NEVER, [0, 0, 1e-13, 0]],
          [("<S> </S>", 0.7)],
      ),
      (
          "incomplete_captions_only_if_none_is_complete",
          [[0.75, 0, 0, 0.25], [0.5, 0, 0, 0.5], _NEVER, [0, 0, 0, 1]],
          [("<S> b b b", 0.5), ("<S> a a a", 0.28125)],
      ),
      (
          "nothing_likely_enough",
          [_NEVER, [1e-13, 0, 1e-13, 0], _NEVER, _NEVER],
          [],
      ),
      (
          "equal_words_by_id",
          [_NEVER, [0, 0.25, 0.25, 0.25], _NEVER, _NEVER],
          [("<S> </S>", 0.25), ("<S> <S> </S>", 0.0625)],
      ),
      (
          "equal_captions_by_the_order_they_were_found_in",
          [[0, 0, 0.5, 0.5], [0.5, 0, 0, 0.5], _NEVER, [0, 0, 0.5, 0.5]],
          [("<S> a </S>", 0.25), ("<S> b </S>", 0.25)],
      ),
  )
  def test_finds_the_two_best(self, table, expected):
    captions = _search(FakeModel(table), beam_size=2, max_caption_length=4)
    self.assert_captions(captions, expected)

  def test_beam_of_one_is_greedy(self):
    table = [[0.4, 0, 0.3, 0.3], [0.6, 0, 0, 0.4], _NEVER, [0, 0, 1, 0]]
    captions = _search(FakeModel(table), beam_size=1, max_caption_length=5)
    self.assert_captions(captions, [("<S> a a a a", 0.6 * 0.4**3)])

  def test_stops_when_no_caption_goes_on(self):
    model = FakeModel([[0, 0, 1, 0], [1, 0, 0, 0], _NEVER, _NEVER])
    self.assert_captions(_search(model), [("<S> a </S>", 1.0)])
    self.assertEqual(model.steps, 2)

  def test_goes_on_to_the_greatest_length(self):
    model = FakeModel([[1, 0, 0, 0], [1, 0, 0, 0], _NEVER, _NEVER])
    captions = _search(model, max_caption_length=20)
    self.assertLen(captions[0].sentence, 20)
    self.assertEqual(model.steps, 19)
    # The image, then 19 words; the last word is not fed.
    self.assertEqual(captions[0].state, [119.0])

  @parameterized.parameters(
      # ln 0.32 and ln 0.16 over the length to the factor's power.
      (0.0, [-1.139434, -1.832581]),
      (-1.0, [-1.139434, -1.832581]),
      (1.0, [-1.139434 / 3, -1.832581 / 4]),
      (2.0, [-1.832581 / 16, -1.139434 / 9]),
  )
  def test_scores(self, factor, scores):
    table = [[0.5, 0, 0.5, 0], [0.64, 0, 0, 0], _NEVER, _NEVER]
    captions = _search(
        FakeModel(table),
        beam_size=2,
        max_caption_length=4,
        length_normalization_factor=factor,
    )
    self.assertLen(captions, 2)
    for caption, score in zip(captions, scores, strict=True):
      self.assertAlmostEqual(caption.score, score, places=6)

  def test_incomplete_captions_are_not_normalized(self):
    table = [[0.5, 0, 0, 0], [0.5, 0, 0, 0], _NEVER, _NEVER]
    (caption,) = _search(
        FakeModel(table), max_caption_length=3, length_normalization_factor=1.0
    )
    self.assertEqual(caption.score, caption.logprob)

  def test_equal_products_tie_whatever_their_order(self):
    # 0.1 * 0.3 * 0.7 and 0.7 * 0.1 * 0.3 differ by a rounding as plain sums.
    a, b, c = (math.log(np.float32(p)) for p in (0.1, 0.3, 0.7))
    self.assertNotEqual((a + b) + c, (c + b) + a)
    log = caption_generator._log
    a, b, c = (log(float(np.float32(p))) for p in (0.1, 0.3, 0.7))
    self.assertEqual((a + b) + c, (c + b) + a)

  def test_keeps_the_metadata(self):
    table = [[0, 0, 1, 0], [1, 0, 0, 0], _NEVER, _NEVER]
    (caption,) = _search(FakeModel(table, metadata="step"))
    self.assertEqual(caption.metadata, ["", "step", "step"])
    (caption,) = _search(FakeModel(table))
    self.assertIsNone(caption.metadata)

  @parameterized.parameters({"beam_size": 0}, {"max_caption_length": 0})
  def test_rejects(self, **kwargs):
    with self.assertRaisesRegex(ValueError, "at least 1"):
      caption_generator.CaptionGenerator(None, _VOCAB, **kwargs)


class CaptionTest(absltest.TestCase):

  def test_is_compared_by_score(self):
    low, high, same = (
        caption_generator.Caption([i], np.zeros(1), 0.0, score)
        for i, score in enumerate((-2.0, -1.0, -2.0))
    )
    self.assertLess(low, high)
    self.assertGreater(high, low)
    self.assertEqual(low, same)
    self.assertNotEqual(low, high)


class TopNTest(parameterized.TestCase):

  @parameterized.parameters(
      ([], []),
      ([2], [2]),
      ([1, 3, 2], [3, 2, 1]),
      ([5, 1, 4, 2, 3, 0], [5, 4, 3]),
  )
  def test_keeps_the_greatest(self, pushed, kept):
    top = caption_generator.TopN(3)
    for item in pushed:
      top.push(item)
    self.assertEqual(top.size(), len(kept))
    self.assertEqual(top.extract(sort=True), kept)

  def test_keeps_the_earlier_of_equal_items(self):
    top = caption_generator.TopN(2)
    captions = [
        caption_generator.Caption([i], np.zeros(1), 0.0, -1.0) for i in range(4)
    ]
    for caption in captions:
      top.push(caption)
    self.assertEqual(
        [caption.sentence for caption in top.extract(sort=True)], [[0], [1]]
    )

  def test_only_reset_follows_extract(self):
    top = caption_generator.TopN(2)
    top.push(1)
    self.assertEqual(top.extract(), [1])
    for call in (top.size, top.extract, lambda: top.push(2)):
      with self.assertRaisesRegex(RuntimeError, "reset"):
        call()
    top.reset()
    self.assertEqual(top.size(), 0)


if __name__ == "__main__":
  absltest.main()
