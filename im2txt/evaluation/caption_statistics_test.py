"""Tests of caption_statistics, with values counted by hand."""

from absl.testing import absltest

from im2txt.evaluation import caption_statistics


class CaptionStatisticsTest(absltest.TestCase):

  def test_counts(self):
    # 8 words, 4 distinct; 5 bigrams: a dog (twice), dog runs, a cat, cat a.
    statistics = caption_statistics.compute(
        ["a dog runs", "a dog", "a cat a", ""], {"a dog", "a cat", "a"}
    )
    self.assertEqual(
        statistics,
        caption_statistics.Statistics(
            num_captions=4,
            num_empty=1,
            num_distinct=4,
            num_words=4,
            distinct_1=4 / 8,
            distinct_2=4 / 8,
            mean_length=8 / 4,
            in_training=1 / 4,
        ),
    )
    self.assertEqual(statistics.novelty, 3 / 4)

  def test_repeated_caption(self):
    statistics = caption_statistics.compute(["a a"] * 3)
    self.assertEqual(statistics.num_distinct, 1)
    self.assertEqual(statistics.distinct_1, 1 / 6)
    self.assertEqual(statistics.distinct_2, 1 / 6)

  def test_unknown_training_captions(self):
    statistics = caption_statistics.compute(["a"])
    self.assertIsNone(statistics.in_training)
    self.assertIsNone(statistics.novelty)

  def test_no_words(self):
    statistics = caption_statistics.compute(["", ""])
    self.assertEqual(statistics.num_empty, 2)
    self.assertEqual(statistics.distinct_1, 0)
    self.assertEqual(statistics.mean_length, 0)

  def test_no_captions(self):
    with self.assertRaisesRegex(ValueError, "no captions to count"):
      caption_statistics.compute([])


if __name__ == "__main__":
  absltest.main()
