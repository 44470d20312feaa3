"""Tests of comparison."""

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.evaluation import comparison
from im2txt.testing import fake_java

_REFERENCES = {1: ["A red ball."], 2: ["A blue box.", "The box"], 3: ["Cat!"]}
_SCORERS = ("ROUGE_L", "CIDEr")


def _compare(systems, references=_REFERENCES, **kwargs):
  arguments = {"scorers": _SCORERS, "tokenizer": "python", **kwargs}
  return comparison.compare(references, systems, **arguments)


class ComparisonTest(parameterized.TestCase):

  def test_systems_side_by_side(self):
    right = {1: ["a red ball"], 2: ["The Box ."], 3: ["cat"]}
    wrong = {1: ["x"], 2: [""], 3: ["x"]}
    found = _compare({"right": right, "wrong": wrong})
    self.assertEqual(list(found.systems), ["right", "wrong"])
    self.assertEqual(found.tokenizer, "python")
    (note,) = found.notes
    self.assertIn("CIDEr means little for 3 images", note)
    scores = found.systems["right"]
    self.assertEqual(list(scores.corpus), list(_SCORERS))
    self.assertEqual(scores.corpus["ROUGE_L"], 1)
    self.assertEqual(list(scores.per_image), [1, 2, 3])
    self.assertIsNone(scores.n_best)
    self.assertIsNone(scores.oracle_cider)
    scores = found.systems["wrong"]
    self.assertEqual(scores.corpus, {"ROUGE_L": 0, "CIDEr": 0})
    self.assertEqual(scores.statistics.num_empty, 1)
    self.assertEqual(scores.statistics.num_distinct, 2)

  def test_references_of_other_images_do_not_count(self):
    captions = {1: ["a red ball"], 3: ["a cat"]}
    references = {i: _REFERENCES[i] for i in captions}
    some = _compare({"some": captions})
    self.assertEqual(some, _compare({"some": captions}, references))
    self.assertEqual(list(some.systems["some"].per_image), [1, 3])

  @parameterized.named_parameters(
      ("known", ["A dog.", "The red  ball !"], 1 / 3),
      ("none", [], 0),
      ("unknown", None, None),
  )
  def test_training_captions_are_split_alike(self, training_captions, share):
    captions = {1: ["the red ball"], 2: ["a ball"], 3: ["dog"]}
    found = _compare({"x": captions}, training_captions=training_captions)
    self.assertEqual(found.systems["x"].statistics.in_training, share)

  def test_several_captions_of_an_image(self):
    first = {1: ["a red ball"], 2: ["a dog"], 3: ["cat"]}
    several = {**first, 2: ["a dog", "a blue box", "the box"]}
    better = {**first, 2: ["a blue box"]}
    found = _compare({"first": first, "several": several, "better": better})
    scores = found.systems["several"]
    self.assertEqual(scores.corpus, found.systems["first"].corpus)
    self.assertEqual(scores.statistics, found.systems["first"].statistics)
    self.assertEqual(scores.n_best.num_captions, 5)
    self.assertAlmostEqual(
        scores.oracle_cider, found.systems["better"].corpus["CIDEr"]
    )
    others = _compare({"several": several}, scorers=["ROUGE_L"])
    self.assertIsNone(others.systems["several"].oracle_cider)

  def test_without_java(self):
    fake_java.install(self, None)
    captions = {1: ["a red ball"], 2: ["box"], 3: ["cat"]}
    found = _compare(
        {"one": captions, "two": captions},
        scorers=comparison.SCORERS,
        tokenizer="auto",
    )
    self.assertEqual(found.tokenizer, "python")
    self.assertLen(found.notes, 3)
    self.assertStartsWith(found.notes[0], "The captions were split into")
    self.assertStartsWith(found.notes[1], "METEOR was left out.")
    self.assertNotIn("METEOR", found.systems["two"].corpus)
    self.assertIn("Bleu_4", found.systems["two"].corpus)

  def _notes(self, *image_counts, **kwargs):
    references = {i: ["a red ball"] for i in range(max(image_counts))}
    systems = {
        f"{count}": {i: ["a red ball"] for i in range(count)}
        for count in image_counts
    }
    return _compare(systems, references, **kwargs).notes

  def test_cider_of_few_images_has_a_note(self):
    (note,) = self._notes(1)
    self.assertIn("CIDEr means nothing for one image", note)
    few, one = self._notes(9, 1, 9, 10)
    self.assertIn("CIDEr means little for 9 images", few)
    self.assertEqual(one, note)
    self.assertEmpty(self._notes(10, 11))
    self.assertEmpty(self._notes(1, scorers=["ROUGE_L"]))

  @parameterized.named_parameters(
      ("no_captions", {"x": {}}, {}, "no captions to score"),
      ("unknown_image", {"x": {4: ["a"]}}, {}, "4 has no references"),
      ("scorer", {"x": {1: ["a"]}}, {"scorers": ["x"]}, "Got: x"),
      ("tokenizer", {"x": {1: ["a"]}}, {"tokenizer": "y"}, "Got: 'y'"),
  )
  def test_refuses(self, systems, kwargs, message):
    with self.assertRaisesRegex(ValueError, message):
      _compare(systems, **kwargs)


if __name__ == "__main__":
  absltest.main()
