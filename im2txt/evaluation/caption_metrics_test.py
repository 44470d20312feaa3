"""Tests of caption_metrics, with scores worked by hand."""

import contextlib
import io

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.evaluation import caption_metrics

_REFERENCES = {1: ["red ball"], 2: ["blue box"]}
_CANDIDATES = {1: "red ball", 2: "red box"}


class CaptionMetricsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("case_and_full_stop", "A red Ball .", "a red ball"),
      ("many_marks", "well , `` yes '' -- why ?", "well yes why"),
      ("inside_words", "a t-shirt of mr. o'neil", "a t-shirt of mr. o'neil"),
      ("nothing_left", " . ", ""),
  )
  def test_normalize(self, caption, expected):
    self.assertEqual(caption_metrics.normalize(caption), expected)

  def test_corpus_scores(self):
    corpus = caption_metrics.score(_REFERENCES, _CANDIDATES).corpus
    self.assertSequenceEqual(list(corpus), caption_metrics.METRICS)
    self.assertAlmostEqual(corpus["Bleu_1"], 3 / 4, places=6)
    self.assertAlmostEqual(corpus["Bleu_2"], (3 / 4 * 1 / 2) ** 0.5, places=6)
    self.assertAlmostEqual(corpus["ROUGE_L"], (1 + 0.5) / 2)
    self.assertAlmostEqual(corpus["CIDEr"], (5 + 1.25) / 2)

  def test_image_scores(self):
    per_image = caption_metrics.score(_REFERENCES, _CANDIDATES).per_image
    self.assertAlmostEqual(per_image[1]["Bleu_2"], 1, places=6)
    self.assertAlmostEqual(per_image[2]["Bleu_1"], 1 / 2, places=6)
    self.assertAlmostEqual(per_image[2]["ROUGE_L"], 0.5)
    # Of four n-gram lengths two exist, and both agree.
    self.assertAlmostEqual(per_image[1]["CIDEr"], 10 * (1 + 1) / 4)
    # "box" is one of two equally rare words on either side.
    self.assertAlmostEqual(per_image[2]["CIDEr"], 10 * (1 / 2) / 4)

  def test_brevity_penalty_goes_by_the_closest_reference(self):
    scores = caption_metrics.score({"x": ["a b c", "a b c d"]}, {"x": "a b"})
    # One word short of three: exp(1 - 3 / 2).
    self.assertAlmostEqual(scores.corpus["Bleu_1"], 0.60653066, places=6)
    # Precision 1, recall 2/3, F with beta 1.2.
    expected = 2.44 * (2 / 3) / (2 / 3 + 1.44)
    self.assertAlmostEqual(scores.corpus["ROUGE_L"], expected)

  def test_an_empty_caption_scores_nothing(self):
    scores = caption_metrics.score(_REFERENCES, {1: "red ball", 2: ""})
    self.assertEqual(scores.per_image[2]["CIDEr"], 0)
    self.assertAlmostEqual(scores.per_image[2]["Bleu_1"], 0)

  def test_prints_nothing(self):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      caption_metrics.score(_REFERENCES, _CANDIDATES)
    self.assertEqual(printed.getvalue(), "")

  @parameterized.named_parameters(
      ("no_images", {}, {}, "no captions to score"),
      ("no_caption", {1: ["a"], 2: ["b"]}, {1: "a"}, "2 has no caption"),
      ("no_image", {1: ["a"]}, {1: "a", 5: "b"}, "5 has no reference"),
      ("no_references", {1: []}, {1: "a"}, "1 has no references"),
  )
  def test_raises(self, references, candidates, message):
    with self.assertRaisesRegex(ValueError, message):
      caption_metrics.score(references, candidates)


if __name__ == "__main__":
  absltest.main()
