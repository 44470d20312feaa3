"""Tests of the files of an evaluation, of scores that are given."""

import json
import os
import pathlib
import types

from absl.testing import absltest
from PIL import Image

from im2txt.evaluation import caption_outputs
from im2txt.evaluation import caption_statistics
from im2txt.evaluation import comparison
from im2txt.inference import captions
from im2txt.input_data import caption_data
from im2txt.input_data import distinct_images
from im2txt.testing import tiny


def _caption(sentence):
  return captions.Caption(
      words=tuple(sentence.split()),
      log_probability=-1.0,
      word_probabilities=(),
      end_probability=1.0,
      score=0.0,
  )


# Of image 0 two captions are found, of image 1 none.
_FOUND = {0: [_caption("a sky"), _caption("a sea")], 1: []}
_SCORES = comparison.Comparison(
    systems={
        "model.ckpt-7": comparison.SystemScores(
            corpus={"CIDEr": 0.25},
            per_image={0: {"CIDEr": 0.5}, 1: {"CIDEr": 0.0}},
            statistics=caption_statistics.compute(["a sky", ""]),
            n_best=None,
            oracle_cider=None,
        )
    },
    tokenizer="python",
    notes=["A note."],
)


class CaptionOutputsTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = pathlib.Path(self.create_tempdir().full_path)
    self.outputs_dir = self.dir / "outputs"
    self.outputs_dir.mkdir()
    data = caption_data.CaptionData(
        files=[tiny.write_pairs(self.dir, "val", 4, 2)], config=tiny.CONFIG
    )
    self.captioner = types.SimpleNamespace(
        data=data, split=distinct_images.scan(data)
    )

  def _write(self, report_dir="", label=""):
    outputs = caption_outputs.CaptionOutputs(
        folder=os.fspath(self.outputs_dir),
        split_name="val",
        settings={"beam_size": 2},
        report_dir=report_dir and os.fspath(report_dir),
    )
    outputs.write(_FOUND, _SCORES, self.captioner, perplexity=2.5, label=label)

  def _read(self, name):
    return (self.outputs_dir / name).read_text()

  def test_results_are_the_best_captions(self):
    self._write()
    self.assertEqual(
        [
            {"image_id": 0, "caption": "a sky"},
            {"image_id": 1, "caption": ""},
        ],
        json.loads(self._read("captions_val_results.json")),
    )

  def test_a_line_an_image_has_all_captions(self):
    self._write()
    lines = self._read("captions_val_scores.jsonl").splitlines()
    self.assertEqual(
        [
            {
                "results": "model.ckpt-7",
                "image_id": 0,
                "captions": ["a sky", "a sea"],
                "scores": {"CIDEr": 0.5},
            },
            {
                "results": "model.ckpt-7",
                "image_id": 1,
                "captions": [],
                "scores": {"CIDEr": 0.0},
            },
        ],
        list(map(json.loads, lines)),
    )

  def test_summary_says_how_it_was_made(self):
    self._write()
    summary = json.loads(self._read("captions_val_summary.json"))
    self.assertEqual({"beam_size": 2, "perplexity": 2.5}, summary["settings"])
    self.assertEqual("python", summary["tokenizer"])
    self.assertEqual(["A note."], summary["notes"])
    results = summary["results"]["model.ckpt-7"]
    self.assertEqual({"CIDEr": 0.25}, results["corpus"])
    self.assertEqual(1, results["statistics"]["num_empty"])

  def test_files_of_several_checkpoints_and_of_one(self):
    self._write()
    self._write(label="ckpt-7")
    self._write(label="ckpt-7")
    self.assertCountEqual(
        [
            f"captions_val_{name}"
            for stem in ("", "ckpt-7_")
            for name in (
                f"{stem}results.json",
                f"{stem}scores.jsonl",
                f"{stem}summary.json",
            )
        ],
        os.listdir(self.outputs_dir),
    )

  def test_report_has_pictures_and_what_people_say(self):
    report_dir = self.dir / "report"
    self._write(report_dir, label="ckpt-7")
    page = (report_dir / "ckpt-7" / "index.html").read_text()
    self.assertIn("<h1>Captions of the split val</h1>", page)
    self.assertIn(
        "By model.ckpt-7, with a perplexity of 2.500. Tokenizer: python."
        " A note.",
        page,
    )
    self.assertIn('"a sea"', page)
    for references in self.captioner.split.references.values():
      self.assertIn(json.dumps(references[1]), page)
    thumbnails = sorted((report_dir / "ckpt-7" / "thumbnails").iterdir())
    self.assertLen(thumbnails, 2)
    with Image.open(thumbnails[0]) as image:
      self.assertEqual((80, 90), image.size)
    # It may be written again where it is.
    self._write(report_dir, label="ckpt-7")


if __name__ == "__main__":
  absltest.main()
