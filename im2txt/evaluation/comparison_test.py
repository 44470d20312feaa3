"""Tests of comparison."""

import json
import os

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.evaluation import caption_statistics
from im2txt.evaluation import comparison
from im2txt.testing import fake_java

_REFERENCES = {1: ["A red ball."], 2: ["A blue box.", "The box"], 3: ["Cat!"]}
_SCORERS = ("ROUGE_L", "CIDEr")


def _compare(systems, references=_REFERENCES, **kwargs):
  arguments = {"scorers": _SCORERS, "tokenizer": "python", **kwargs}
  return comparison.compare(references, systems, **arguments)


_STATISTICS = caption_statistics.Statistics(
    num_captions=2,
    num_empty=0,
    num_distinct=1,
    num_words=3,
    distinct_1=1 / 2,
    distinct_2=1 / 3,
    mean_length=3.0,
    in_training=1 / 4,
)
_SYSTEMS = {
    "ours": {5: ["é", "b"], 7: ["c"]},
    "the others": {5: ["d"], 7: ["e"]},
}
_COMPARISON = comparison.Comparison(
    systems={
        "ours": comparison.SystemScores(
            corpus={"CIDEr": 0.12345},
            per_image={5: {"CIDEr": 0.5}, 7: {"CIDEr": 0.0}},
            statistics=_STATISTICS,
            n_best=_STATISTICS._replace(num_captions=3, in_training=0.5),
            oracle_cider=1.5,
        ),
        "the others": comparison.SystemScores(
            corpus={"METEOR": 0.25, "CIDEr": 10.0},
            per_image={5: {"CIDEr": 1.0}, 7: {"CIDEr": 2.0}},
            statistics=_STATISTICS,
            n_best=None,
            oracle_cider=None,
        ),
    },
    tokenizer="ptb",
    notes=["METEOR was left out once."],
)


class CompareTest(parameterized.TestCase):

  def test_systems_side_by_side(self):
    right = {1: ["a red ball"], 2: ["The Box ."], 3: ["cat"]}
    wrong = {1: ["x"], 2: [""], 3: ["x"]}
    result = _compare({"right": right, "wrong": wrong})
    self.assertEqual(list(result.systems), ["right", "wrong"])
    self.assertEqual(result.tokenizer, "python")
    (note,) = result.notes
    self.assertIn("CIDEr means little for 3 images", note)
    scores = result.systems["right"]
    self.assertEqual(list(scores.corpus), list(_SCORERS))
    self.assertEqual(scores.corpus["ROUGE_L"], 1)
    self.assertEqual(list(scores.per_image), [1, 2, 3])
    self.assertIsNone(scores.n_best)
    self.assertIsNone(scores.oracle_cider)
    scores = result.systems["wrong"]
    self.assertEqual(scores.corpus, {"ROUGE_L": 0, "CIDEr": 0})
    self.assertEqual(scores.statistics.num_empty, 1)
    self.assertEqual(scores.statistics.num_distinct, 2)

  def test_references_of_other_images_are_ignored(self):
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
  def test_training_captions_are_tokenized_too(self, training_captions, share):
    captions = {1: ["the red ball"], 2: ["a ball"], 3: ["dog"]}
    result = _compare({"x": captions}, training_captions=training_captions)
    self.assertEqual(result.systems["x"].statistics.in_training, share)

  def test_several_captions_per_image(self):
    first = {1: ["a red ball"], 2: ["a dog"], 3: ["cat"]}
    several = {**first, 2: ["a dog", "a blue box", "the box"]}
    better = {**first, 2: ["a blue box"]}
    result = _compare({"first": first, "several": several, "better": better})
    scores = result.systems["several"]
    self.assertEqual(scores.corpus, result.systems["first"].corpus)
    self.assertEqual(scores.statistics, result.systems["first"].statistics)
    self.assertEqual(scores.n_best.num_captions, 5)
    self.assertAlmostEqual(
        scores.oracle_cider, result.systems["better"].corpus["CIDEr"]
    )
    others = _compare({"several": several}, scorers=["ROUGE_L"])
    self.assertIsNone(others.systems["several"].oracle_cider)

  def test_without_java(self):
    fake_java.install(self, None)
    captions = {1: ["a red ball"], 2: ["box"], 3: ["cat"]}
    result = _compare(
        {"one": captions, "two": captions},
        scorers=comparison.SCORERS,
        tokenizer="auto",
    )
    self.assertEqual(result.tokenizer, "python")
    self.assertLen(result.notes, 3)
    self.assertStartsWith(result.notes[0], "The captions were tokenized in")
    self.assertStartsWith(result.notes[1], "METEOR was left out.")
    self.assertNotIn("METEOR", result.systems["two"].corpus)
    self.assertIn("Bleu_4", result.systems["two"].corpus)

  def _notes(self, *image_counts, **kwargs):
    references = {i: ["a red ball"] for i in range(max(image_counts))}
    systems = {
        f"{count}": {i: ["a red ball"] for i in range(count)}
        for count in image_counts
    }
    return _compare(systems, references, **kwargs).notes

  def test_cider_of_few_images_has_a_note(self):
    (note,) = self._notes(1)
    self.assertIn("CIDEr is meaningless for one image", note)
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
  def test_raises(self, systems, kwargs, message):
    with self.assertRaisesRegex(ValueError, message):
      _compare(systems, **kwargs)


class OutputTest(absltest.TestCase):

  def test_table(self):
    lines = comparison.table(_COMPARISON).splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines
    ]
    self.assertLen({len(line) for line in lines}, 1)
    self.assertEqual(rows[1][:3], ["----------", "-----:", "-----:"])
    self.assertEqual(
        list(zip(rows[0], rows[2], rows[3], strict=True)),
        [
            ("results", "ours", "the others"),
            ("images", "2", "2"),
            ("METEOR", "", "0.250"),
            ("CIDEr", "0.123", "10.000"),
            ("oracle CIDEr", "1.500", ""),
            ("empty", "0", "0"),
            ("distinct", "1", "1"),
            ("words", "3", "3"),
            ("distinct-1", "0.500", "0.500"),
            ("distinct-2", "0.333", "0.333"),
            ("length", "3.00", "3.00"),
            ("in training", "25.0%", "25.0%"),
            ("n best", "3", ""),
            ("n best in training", "50.0%", ""),
        ],
    )

  def test_figures(self):
    figures = comparison.figures(_COMPARISON.systems["the others"])
    self.assertEqual(
        list(figures.items())[:4],
        [
            ("images", "2"),
            ("METEOR", "0.250"),
            ("CIDEr", "10.000"),
            ("empty", "0"),
        ],
    )
    self.assertNotIn("n best", figures)

  def test_write_json(self):
    path = self.create_tempdir().full_path + "/scores.json"
    comparison.write_json(path, _COMPARISON, {"references": "captions.json"})
    with open(path, encoding="utf-8") as file:
      content = json.load(file)
    self.assertEqual(content["settings"], {"references": "captions.json"})
    self.assertEqual(content["tokenizer"], "ptb")
    self.assertEqual(content["notes"], ["METEOR was left out once."])
    ours = content["results"]["ours"]
    self.assertEqual(ours["corpus"], {"CIDEr": 0.12345})
    self.assertEqual(ours["statistics"]["distinct_2"], 1 / 3)
    self.assertEqual(ours["statistics"]["novelty"], 3 / 4)
    self.assertEqual(ours["n_best"]["num_captions"], 3)
    self.assertEqual(ours["oracle_cider"], 1.5)
    self.assertIsNone(content["results"]["the others"]["n_best"])

  def test_write_per_image(self):
    path = self.create_tempdir().full_path + "/scores.jsonl"
    comparison.write_per_image(path, _COMPARISON, _SYSTEMS)
    with open(path, encoding="utf-8") as file:
      lines = [json.loads(line) for line in file]
    self.assertEqual(
        lines[0],
        {
            "results": "ours",
            "image_id": 5,
            "captions": ["é", "b"],
            "scores": {"CIDEr": 0.5},
        },
    )
    self.assertEqual(
        [(line["results"], line["image_id"]) for line in lines],
        [("ours", 5), ("ours", 7), ("the others", 5), ("the others", 7)],
    )

  def test_failure_leaves_no_file(self):
    folder = self.create_tempdir().full_path
    with self.assertRaises(KeyError):
      comparison.write_per_image(f"{folder}/x", _COMPARISON, {"ours": {5: []}})
    self.assertEmpty(os.listdir(folder))


if __name__ == "__main__":
  absltest.main()
