"""Tests of meteor, with a shell script in Java's place and with Java."""

import shutil
import unittest

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.evaluation import java
from im2txt.evaluation import meteor
from im2txt.testing import fake_java

# Answers with what it was asked, and with made-up scores.
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


class MeteorTest(parameterized.TestCase):

  def test_asks_for_statistics_and_then_for_scores(self):
    fake_java.install(self, _METEOR)
    total, per_image = meteor.score([["a b", "c"], ["e"]], ["a ||| d", ""])
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
    with self.assertRaisesRegex(java.JavaError, message):
      meteor.score([["a"], ["b"]], ["a", "b"])

  @unittest.skipUnless(shutil.which("java"), "There is no Java.")
  def test_scores_by_java(self):
    total, per_image = meteor.score(
        [["red ball"], ["blue box"], ["box"]], ["red ball", "red box", ""]
    )
    # A caption that matches in one piece has no penalty.
    self.assertAlmostEqual(per_image[0], 1)
    # Precision and recall 1/2; one piece of one word: penalty 0.6 * 1 ** 0.2.
    self.assertAlmostEqual(per_image[1], 0.5 * (1 - 0.6))
    self.assertEqual(per_image[2], 0)
    # All together: 3 matches of 4 words, and of 5; two pieces, of which that
    # of the perfect caption doesn't count.
    precision, recall = 3 / 4, 3 / 5
    f_mean = 1 / (0.85 / recall + 0.15 / precision)
    self.assertAlmostEqual(total, f_mean * (1 - 0.6 * (1 / 3) ** 0.2))


if __name__ == "__main__":
  absltest.main()
