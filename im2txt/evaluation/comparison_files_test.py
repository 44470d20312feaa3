"""Tests of comparison_files."""

import json
import os

from absl.testing import absltest

from im2txt.evaluation import caption_statistics
from im2txt.evaluation import comparison
from im2txt.evaluation import comparison_files

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
_FOUND = comparison.Comparison(
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


class ComparisonFilesTest(absltest.TestCase):

  def test_table(self):
    lines = comparison_files.table(_FOUND).splitlines()
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
    figures = comparison_files.figures(_FOUND.systems["the others"])
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

  def test_json(self):
    path = self.create_tempdir().full_path + "/scores.json"
    comparison_files.write_json(path, _FOUND, {"references": "captions.json"})
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

  def test_per_image(self):
    path = self.create_tempdir().full_path + "/scores.jsonl"
    comparison_files.write_per_image(path, _FOUND, _SYSTEMS)
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

  def test_per_image_is_whole_or_not_there(self):
    folder = self.create_tempdir().full_path
    with self.assertRaises(KeyError):
      comparison_files.write_per_image(f"{folder}/x", _FOUND, {"ours": {5: []}})
    self.assertEmpty(os.listdir(folder))


if __name__ == "__main__":
  absltest.main()
