"""Tests of CIDEr as a reward, against the COCO tools and by hand."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from pycocoevalcap.cider import cider

from im2txt.training import cider_reward

_VOCAB_SIZE = 12


def _made_up(rng, num_captions, vocab_size=_VOCAB_SIZE):
  """Returns captions of up to eight words, some of them empty."""
  return [
      rng.integers(0, vocab_size, rng.integers(0, 9)).tolist()
      for _ in range(num_captions)
  ]


def _padded(captions):
  width = max(map(len, captions)) + 1
  padded = np.full([len(captions), width], 7, np.int32)
  for row, caption in zip(padded, captions, strict=True):
    row[: len(caption)] = caption
  return padded, np.array([len(c) for c in captions], np.int32)


def _text(caption):
  return " ".join(map(str, caption))


def _by_coco_tools(references, candidates):
  """Returns the score of the candidate of each image."""
  _, scores = cider.Cider().compute_score(
      {i: list(map(_text, captions)) for i, captions in references.items()},
      {i: [_text(caption)] for i, caption in candidates.items()},
  )
  return scores


class CiderRewardTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("few_words", 3), ("some_words", 12), ("many_words", 50_000)
  )
  def test_equals_the_coco_tools(self, vocab_size):
    rng = np.random.default_rng(1)
    # Neither ascending ids nor the same number of captions each.
    references = {
        int(i): _made_up(rng, 1 + i % 4, vocab_size)
        for i in rng.permutation(40) * 1000
    }
    candidates = {
        i: captions[0][:-1] if i % 3000 else _made_up(rng, 1, vocab_size)[0]
        for i, captions in references.items()
    }
    reward = cider_reward.CiderReward(references, vocab_size=vocab_size)
    scores = reward(np.array(list(candidates)), *_padded(candidates.values()))
    expected = _by_coco_tools(references, candidates)
    np.testing.assert_allclose(scores, expected, rtol=1e-9, atol=1e-9)
    self.assertGreater(np.count_nonzero(expected), 10)

  def test_by_hand(self):
    reward = cider_reward.CiderReward(
        {5: [[0, 1]], 3: [[0, 2, 3]]}, vocab_size=_VOCAB_SIZE
    )
    # The word 0 is in both images and weighs nothing; 2, 3 and their bigram
    # weigh log 2 each. "2 3" has one unigram of weight more in common than
    # "2", and one bigram less than "0 2 3".
    scores = reward(
        np.array([3, 3, 3, 5]),
        np.array([[0, 2, 3], [2, 3, 0], [2, 0, 0], [2, 3, 0]]),
        np.array([3, 2, 1, 2]),
    )
    penalty = np.exp(-1 / 72)
    expected = [
        10 * (1 + 1 + 1) / 4,
        10 * penalty * (1 + np.sqrt(1 / 2)) / 4,
        10 * np.exp(-4 / 72) * np.sqrt(1 / 2) / 4,
        0.0,
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-12)

  def test_does_not_depend_on_the_rest_of_the_batch(self):
    rng = np.random.default_rng(2)
    references = {i: _made_up(rng, 5) for i in range(10)}
    reward = cider_reward.CiderReward(references, vocab_size=_VOCAB_SIZE)
    captions, lengths = _padded(_made_up(rng, 20))
    images = rng.integers(0, 10, 20)
    one_by_one = [
        reward(*(a[i : i + 1] for a in (images, captions, lengths)))[0]
        for i in range(20)
    ]
    np.testing.assert_array_equal(reward(images, captions, lengths), one_by_one)

  def test_unknown_word_is_never_right(self):
    references = {0: [[4, 5]], 1: [[6, 5]]}
    arguments = np.array([0]), np.array([[4, 5]]), np.array([2])
    known = cider_reward.CiderReward(references, vocab_size=_VOCAB_SIZE)
    unknown = cider_reward.CiderReward(
        references, vocab_size=_VOCAB_SIZE, unknown_id=4
    )
    self.assertGreater(known(*arguments)[0], 4.9)
    self.assertEqual(0.0, unknown(*arguments)[0])

  def test_end_word_tells_a_cut_off_caption(self):
    references = {0: [[4, 5, 1]], 1: [[6, 5, 1]]}
    reward = cider_reward.CiderReward(references, vocab_size=_VOCAB_SIZE)
    whole, cut = reward(
        np.array([0, 0]), np.array([[4, 5, 1]] * 2), np.array([3, 2])
    )
    self.assertGreater(whole, cut)

  def test_nothing_said(self):
    reward = cider_reward.CiderReward({0: [[4]]}, vocab_size=_VOCAB_SIZE)
    scores = reward(np.array([0]), np.zeros([1, 3], int), np.array([0]))
    self.assertEqual(0.0, scores[0])

  def test_too_many_words(self):
    with self.assertRaisesRegex(ValueError, "of less than 55106. Got: 60000"):
      cider_reward.CiderReward({0: [[4]]}, vocab_size=60_000)


if __name__ == "__main__":
  absltest.main()
