"""Tests of caption_metrics, with scores worked by hand."""

import contextlib
import io
import subprocess
from unittest import mock
import urllib.error

from absl.testing import absltest
from absl.testing import parameterized
from pycocoevalcap.spice import spice

from im2txt.evaluation import caption_metrics
from im2txt.evaluation import java
from im2txt.evaluation import meteor

_REFERENCES = {1: ["red ball"], 2: ["blue box"]}
_CANDIDATES = {1: "red ball", 2: "red box"}


class CaptionMetricsTest(parameterized.TestCase):

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
    scores = caption_metrics.score({7: ["a b c", "a b c d"]}, {7: "a b"})
    # One word short of three: exp(1 - 3 / 2).
    self.assertAlmostEqual(scores.corpus["Bleu_1"], 0.60653066, places=6)
    # Precision 1, recall 2/3, F with beta 1.2.
    expected = 2.44 * (2 / 3) / (2 / 3 + 1.44)
    self.assertAlmostEqual(scores.corpus["ROUGE_L"], expected)

  def test_an_empty_caption_scores_nothing(self):
    scores = caption_metrics.score(_REFERENCES, {1: "red ball", 2: ""})
    self.assertEqual(scores.per_image[2]["CIDEr"], 0)
    self.assertAlmostEqual(scores.per_image[2]["Bleu_1"], 0)

  def test_document_frequencies_are_those_of_the_given_references(self):
    scores = caption_metrics.score({2: ["blue box"]}, {2: "blue box"})
    self.assertEqual(scores.corpus["CIDEr"], 0)  # Of one image: log 1.

  def test_meteor(self):
    self.enter_context(
        mock.patch.object(meteor, "score", return_value=(0.5, [0.75, 0.125]))
    )
    scores = caption_metrics.score(
        _REFERENCES, _CANDIDATES, scorers=["ROUGE_L", "METEOR"]
    )
    self.assertEqual(scores.corpus, {"METEOR": 0.5, "ROUGE_L": 0.75})
    self.assertEqual(scores.per_image[2], {"METEOR": 0.125, "ROUGE_L": 0.5})
    self.assertEmpty(scores.left_out)

  def test_spice(self):
    self.enter_context(mock.patch.object(java, "executable"))
    fake = self.enter_context(mock.patch.object(spice, "Spice"))
    parts = [{"All": {"f": f}, "Color": {"f": 0.5}} for f in (1.0, 0.25)]
    fake().compute_score.return_value = 0.625, parts
    scores = caption_metrics.score(
        {"x": ["red ball"], 2: ["blue box"]},
        {2: "red box", "x": "red ball"},
        scorers=["SPICE"],
    )
    fake().compute_score.assert_called_with(
        {0: ["red ball"], 1: ["blue box"]}, {0: ["red ball"], 1: ["red box"]}
    )
    self.assertEqual(scores.corpus, {"SPICE": 0.625})
    self.assertEqual(scores.per_image, {"x": {"SPICE": 1}, 2: {"SPICE": 0.25}})

  @parameterized.named_parameters(
      ("no_java", java.JavaError("There is no Java."), "There is no Java"),
      ("no_network", urllib.error.URLError("unreachable"), "unreachable"),
      ("dies", subprocess.CalledProcessError(1, "java"), "exit status 1"),
  )
  def test_what_java_fails_at_is_left_out(self, error, message):
    self.enter_context(mock.patch.object(java, "executable"))
    for scorer, module, name in (
        ("METEOR", meteor, "score"),
        ("SPICE", spice, "Spice"),
    ):
      with mock.patch.object(module, name, side_effect=error):
        scores = caption_metrics.score(
            _REFERENCES, _CANDIDATES, scorers=["CIDEr", scorer]
        )
      self.assertEqual(list(scores.corpus), ["CIDEr"])
      self.assertEqual(list(scores.per_image[1]), ["CIDEr"])
      self.assertEqual(list(scores.left_out), [scorer])
      self.assertRegex(
          scores.left_out[scorer], f"{scorer} was left out. .*{message}"
      )

  def test_oracle_of_the_n_best(self):
    # Of image 1 the first is best, as below; of image 2 the second of three.
    oracle = caption_metrics.oracle_cider(
        _REFERENCES,
        {1: ["red ball", "box"], 2: ["red box", "blue box", "ball"]},
    )
    self.assertAlmostEqual(oracle, (5 + 5) / 2)

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

  @parameterized.named_parameters(
      (
          "unknown",
          ["CIDEr", "Blue"],
          "METEOR, ROUGE_L, CIDEr, SPICE. Got: Blue",
      ),
      ("none", [], "Got: none"),
  )
  def test_unknown_scorers(self, scorers, message):
    with self.assertRaisesRegex(ValueError, message):
      caption_metrics.score(_REFERENCES, _CANDIDATES, scorers=scorers)


if __name__ == "__main__":
  absltest.main()
