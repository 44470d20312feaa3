"""Tests of coco_metrics, with scores computed by hand and fakes of Java."""

import contextlib
import io
import shutil
import subprocess
import unittest
from unittest import mock
import urllib.error

from absl.testing import absltest
from absl.testing import parameterized
from pycocoevalcap.spice import spice

from im2txt.evaluation import coco_metrics
from im2txt.testing import fake_java

_REFERENCES = {1: ["red ball"], 2: ["blue box"]}
_CANDIDATES = {1: "red ball", 2: "red box"}

# A fake METEOR, with fixed answers.
_METEOR = """
while read -r line; do
  case "${line}" in
    "SCORE ||| a b ||| c ||| a d") echo 1 2 ;;
    "SCORE ||| e |||"*) echo 3 4 ;;
    "EVAL ||| 1 2 ||| 3 4") echo 0.5; echo 0.25; echo 0.375 ;;
    *) exit 1 ;;
  esac
done
"""


class ScoreTest(parameterized.TestCase):

  def test_corpus_scores(self):
    corpus = coco_metrics.score(_REFERENCES, _CANDIDATES).corpus
    self.assertEqual(
        list(corpus),
        ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr"],
    )
    self.assertAlmostEqual(corpus["Bleu_1"], 3 / 4, places=6)
    self.assertAlmostEqual(corpus["Bleu_2"], (3 / 4 * 1 / 2) ** 0.5, places=6)
    self.assertAlmostEqual(corpus["ROUGE_L"], (1 + 0.5) / 2)
    self.assertAlmostEqual(corpus["CIDEr"], (5 + 1.25) / 2)

  def test_image_scores(self):
    per_image = coco_metrics.score(_REFERENCES, _CANDIDATES).per_image
    self.assertAlmostEqual(per_image[1]["Bleu_2"], 1, places=6)
    self.assertAlmostEqual(per_image[2]["Bleu_1"], 1 / 2, places=6)
    self.assertAlmostEqual(per_image[2]["ROUGE_L"], 0.5)
    # Two of the four n-gram lengths exist, and both match.
    self.assertAlmostEqual(per_image[1]["CIDEr"], 10 * (1 + 1) / 4)
    # "box" is one of two equally rare words in both captions.
    self.assertAlmostEqual(per_image[2]["CIDEr"], 10 * (1 / 2) / 4)

  def test_brevity_penalty_uses_the_closest_reference(self):
    scores = coco_metrics.score({7: ["a b c", "a b c d"]}, {7: "a b"})
    # Two words instead of three: exp(1 - 3 / 2).
    self.assertAlmostEqual(scores.corpus["Bleu_1"], 0.60653066, places=6)
    # Precision 1, recall 2/3, F with beta 1.2.
    expected = 2.44 * (2 / 3) / (2 / 3 + 1.44)
    self.assertAlmostEqual(scores.corpus["ROUGE_L"], expected)

  def test_empty_caption_scores_zero(self):
    scores = coco_metrics.score(_REFERENCES, {1: "red ball", 2: ""})
    self.assertEqual(scores.per_image[2]["CIDEr"], 0)
    self.assertAlmostEqual(scores.per_image[2]["Bleu_1"], 0)

  def test_document_frequencies_come_from_the_given_references(self):
    scores = coco_metrics.score({2: ["blue box"]}, {2: "blue box"})
    self.assertEqual(scores.corpus["CIDEr"], 0)  # log(1) for one image.

  def test_meteor(self):
    self.enter_context(
        mock.patch.dict(
            coco_metrics._SCORERS,
            METEOR=lambda *_: {"METEOR": (0.5, [0.75, 0.125])},
        )
    )
    scores = coco_metrics.score(
        _REFERENCES, _CANDIDATES, scorers=["ROUGE_L", "METEOR"]
    )
    self.assertEqual(scores.corpus, {"METEOR": 0.5, "ROUGE_L": 0.75})
    self.assertEqual(scores.per_image[2], {"METEOR": 0.125, "ROUGE_L": 0.5})
    self.assertEmpty(scores.left_out)

  def test_spice(self):
    self.enter_context(mock.patch.object(coco_metrics, "find_java"))
    fake = self.enter_context(mock.patch.object(spice, "Spice"))
    parts = [{"All": {"f": f}, "Color": {"f": 0.5}} for f in (1.0, 0.25)]
    fake().compute_score.return_value = 0.625, parts
    scores = coco_metrics.score(
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
      ("no_java", coco_metrics.JavaError("No Java."), "No Java"),
      ("no_network", urllib.error.URLError("unreachable"), "unreachable"),
      ("dies", subprocess.CalledProcessError(1, "java"), "exit status 1"),
  )
  def test_metric_is_left_out_if_java_fails(self, error, message):
    self.enter_context(mock.patch.object(coco_metrics, "find_java"))
    for scorer, module, name in (
        ("METEOR", coco_metrics, "run_java"),
        ("SPICE", spice, "Spice"),
    ):
      with mock.patch.object(module, name, side_effect=error):
        scores = coco_metrics.score(
            _REFERENCES, _CANDIDATES, scorers=["CIDEr", scorer]
        )
      self.assertEqual(list(scores.corpus), ["CIDEr"])
      self.assertEqual(list(scores.per_image[1]), ["CIDEr"])
      self.assertEqual(list(scores.left_out), [scorer])
      self.assertRegex(
          scores.left_out[scorer], f"{scorer} was left out. .*{message}"
      )

  def test_oracle_cider_of_n_best(self):
    # The best caption is the first for image 1, the second for image 2.
    oracle = coco_metrics.oracle_cider(
        _REFERENCES,
        {1: ["red ball", "box"], 2: ["red box", "blue box", "ball"]},
    )
    self.assertAlmostEqual(oracle, (5 + 5) / 2)

  def test_prints_nothing(self):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      coco_metrics.score(_REFERENCES, _CANDIDATES)
    self.assertEqual(printed.getvalue(), "")

  @parameterized.named_parameters(
      ("no_images", {}, {}, "no captions to score"),
      ("no_caption", {1: ["a"], 2: ["b"]}, {1: "a"}, "2 has no caption"),
      ("no_image", {1: ["a"]}, {1: "a", 5: "b"}, "5 has no reference"),
      ("no_references", {1: []}, {1: "a"}, "1 has no references"),
  )
  def test_raises(self, references, candidates, message):
    with self.assertRaisesRegex(ValueError, message):
      coco_metrics.score(references, candidates)

  @parameterized.named_parameters(
      (
          "unknown",
          ["CIDEr", "Blue"],
          "CIDEr, SPICE. Got: Blue",
      ),
      ("none", [], "Got: none"),
  )
  def test_unknown_scorers(self, scorers, message):
    with self.assertRaisesRegex(ValueError, message):
      coco_metrics.score(_REFERENCES, _CANDIDATES, scorers=scorers)


class MeteorTest(parameterized.TestCase):

  def _score(self, references, candidates):
    return coco_metrics._meteor(references, candidates)["METEOR"]

  def test_requests_statistics_and_then_scores(self):
    fake_java.install(self, _METEOR)
    total, per_image = self._score([["a b", "c"], ["e"]], ["a ||| d", ""])
    self.assertEqual(total, 0.375)
    self.assertEqual(per_image, [0.5, 0.25])

  @parameterized.named_parameters(
      ("at_once", "exit 1", "Java failed"),
      ("midway", "read -r line; echo 1; exit 1", "METEOR ended early|Broken"),
      ("half_an_answer", "read -r line; printf 1", "METEOR ended early"),
      (
          "no_number",
          "while read -r line; do echo x; done",
          "could not convert string to float: 'x'",
      ),
  )
  def test_fails(self, script, message):
    fake_java.install(self, script)
    with self.assertRaisesRegex(coco_metrics.JavaError, message):
      self._score([["a"], ["b"]], ["a", "b"])

  @unittest.skipUnless(shutil.which("java"), "Java is not installed.")
  def test_scores_with_java(self):
    total, per_image = self._score(
        [["red ball"], ["blue box"], ["box"]], ["red ball", "red box", ""]
    )
    # A caption that matches in one chunk has no penalty.
    self.assertAlmostEqual(per_image[0], 1)
    # Precision and recall 1/2; one chunk of one word: penalty 0.6 * 1 ** 0.2.
    self.assertAlmostEqual(per_image[1], 0.5 * (1 - 0.6))
    self.assertEqual(per_image[2], 0)
    # All captions: 3 matches of 4 words and of 5 reference words; two chunks,
    # of which the one of the perfect caption does not count.
    precision, recall = 3 / 4, 3 / 5
    f_mean = 1 / (0.85 / recall + 0.15 / precision)
    self.assertAlmostEqual(total, f_mean * (1 - 0.6 * (1 / 3) ** 0.2))


class RunJavaTest(parameterized.TestCase):

  def _request(self, text, *, timeout=60.0):
    with coco_metrics.run_java("-x", timeout=timeout) as process:
      process.stdin.write(f"{text}\n")
      process.stdin.flush()
      answer = process.stdout.readline()
      if not answer:
        raise ValueError("no answer")
      return process, answer

  def test_process_is_killed_at_the_end_of_the_block(self):
    fake_java.install(self, 'read line; echo "$line, $4"; exec sleep 1000')
    process, answer = self._request("é")
    self.assertEqual(answer, "é, -x\n")
    self.assertEqual(process.returncode, -9)
    self.assertTrue(process.stdin.closed)
    self.assertTrue(process.stdout.closed)

  @parameterized.named_parameters(
      ("missing", None, "Java is not on the PATH"),
      (
          "too_old",
          "echo UnsupportedClassVersionError >&2; exit 1",
          r"Java failed \(.*\): UnsupportedClassVersionError",
      ),
      ("silent", "exit 1", r"Java failed \(.*\): no message"),
  )
  def test_fails(self, script, message):
    fake_java.install(self, script)
    with self.assertRaisesRegex(coco_metrics.JavaError, message):
      self._request("x")

  def test_timeout_kills_the_process_and_its_children(self):
    fake_java.install(self, "sleep 1000")
    with self.assertRaisesRegex(
        coco_metrics.JavaError, "took longer than 0 seconds"
    ):
      self._request("x", timeout=0.2)

  def test_process_is_killed_if_the_block_is_interrupted(self):
    fake_java.install(self, "exec sleep 1000")
    with (
        self.assertRaises(KeyboardInterrupt),
        coco_metrics.run_java(timeout=60) as process,
    ):
      raise KeyboardInterrupt
    self.assertEqual(process.returncode, -9)


if __name__ == "__main__":
  absltest.main()
