"""Tests of the program score_captions."""

import contextlib
import json
from pathlib import Path

from absl.testing import absltest
from absl.testing import parameterized

from im2txt import score_captions
from im2txt.testing import programs

_REFERENCES = {
    "images": [{"id": 1}, {"id": 2}],
    "annotations": [
        {"image_id": 1, "caption": "A red ball."},
        {"image_id": 2, "caption": "A blue box."},
    ],
}
# Without scorers and tokenizers that use Java, which takes seconds to start.
_FAST = ("--metrics=Bleu,CIDEr", "--tokenizer=python")


class ScoreCaptionsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = Path(self.create_tempdir().full_path)
    self._references = self._write("captions.json", _REFERENCES)

  def _write(self, name, content):
    path = self._folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)

  def _write_results(self, name, *captions):
    return self._write(
        name, [{"image_id": i, "caption": caption} for i, caption in captions]
    )

  def _run(self, *arguments):
    return programs.run("score_captions", *arguments, *_FAST)

  def test_in_a_folder_of_dev(self):
    # Checks that no output files are checked if none are requested.
    results = self._write_results("ours.json", (1, "a red ball"), (2, "a box"))
    with contextlib.chdir("/dev/shm"):
      ran = self._run(self._references, results)
    self.assertEqual((ran.returncode, ran.stderr), (0, ""))

  def test_table_and_files(self):
    ours = self._write_results(
        "ours.json", (1, "a red ball"), (2, "a red ball"), (2, "a blue box")
    )
    theirs = self._write_results("theirs.json", (2, ""), (1, "ein Café"))
    ran = self._run(
        self._references,
        ours,
        theirs,
        "--n_best",
        f"--training_captions={self._references}",
        f"--output_json={self._folder}/scores.json",
        f"--per_image_scores={self._folder}/scores.jsonl",
    )
    self.assertEqual(ran.returncode, 0, ran.stderr)
    table, _, notes = ran.stdout.partition("\n\n")
    self.assertRegex(
        notes, r"^Tokenizer: python\.\nCIDEr means little for \d images: .*\n$"
    )
    header, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
    )
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    self.assertEqual([row["results"] for row in rows], [ours, theirs])
    self.assertEqual([row["Bleu_1"] for row in rows], ["0.667", "0.000"])
    self.assertEqual([row["in training"] for row in rows], ["100.0%", "0.0%"])
    self.assertEqual([row["empty"] for row in rows], ["0", "1"])
    # Three of four n-gram lengths match completely.
    self.assertEqual([row["oracle CIDEr"] for row in rows], ["7.500", ""])
    scores = json.loads((self._folder / "scores.json").read_bytes())
    self.assertEqual(scores["settings"]["references"], self._references)
    self.assertEqual(list(scores["results"]), [ours, theirs])
    lines = (self._folder / "scores.jsonl").read_text().splitlines()
    self.assertLen(lines, 4)

  def test_missing_images_need_a_flag(self):
    bare = {**_REFERENCES, "images": [{"id": i} for i in (1, 2, 3, 4)]}
    references = self._write("bare.json", bare)
    results = self._write_results("some.json", (1, "a red ball"), (3, "x"))
    ran = self._run(references, results)
    self.assertEqual(ran.returncode, 1)
    self.assertIn("no captions of 2 of its 4 images, such as 3.", ran.stderr)
    ran = self._run(self._references, self._write_results("a.json", (1, "a")))
    self.assertEqual(ran.returncode, 1)
    self.assertIn("a.json has no caption of image 2. Use", ran.stderr)
    ran = self._run(references, results, "--allow_missing")
    self.assertEqual(ran.returncode, 0, ran.stderr)
    self.assertRegex(ran.stdout, r"some.json \| +1 \| +1.000")
    self.assertIn("some.json: 3 images left out.", ran.stdout)
    only = self._write_results("only.json", (3, "x"))
    ran = self._run(references, only, "--allow_missing")
    self.assertIn("None of the images in", ran.stderr)

  def test_blank_references_count_as_missing(self):
    blank = {
        "images": [{"id": i} for i in (1, 2, 3)],
        "annotations": [
            *_REFERENCES["annotations"],
            *({"image_id": 3, "caption": text} for text in ("", " ")),
        ],
    }
    references = self._write("blank.json", blank)
    results = self._write_results("all.json", (1, "a"), (2, "a"), (3, "a"))
    ran = self._run(references, results)
    self.assertIn("no captions of 1 of its 3 images, such as 3.", ran.stderr)
    ran = self._run(references, results, "--allow_missing")
    self.assertIn("all.json: 1 images left out.", ran.stdout)

  def test_arguments_in_wrong_order(self):
    results = self._write_results("ours.json", (1, "a"), (2, "a"))
    ran = self._run(results, self._references)
    error = ran.stderr.splitlines()[-1]
    self.assertStartsWith(error, f"score_captions: {results} is not a captions")
    self.assertEndsWith(error, "first, then the results files.")

  def test_report(self):
    with_names = {
        **_REFERENCES,
        "images": [{"id": i, "file_name": f"{i}.jpg"} for i in (1, 2)],
    }
    references = self._write("named.json", with_names)
    results = self._write_results("ours.json", (2, "a cube"), (1, "a ball"))
    ran = self._run(
        references,
        results,
        f"--image_dir={self._folder}",
        f"--report_dir={self._folder}/report",
    )
    self.assertEqual(ran.returncode, 0, ran.stderr)
    page = (self._folder / "report" / "index.html").read_text(encoding="utf-8")
    for text in ("ours.json", "A blue box.", "a cube", "2.jpg", "Bleu_4"):
      self.assertIn(text, page)

  @parameterized.named_parameters(
      ("one_argument", ["x"], 2, "Give at least two arguments"),
      ("twice", ["x", "y", "y"], 2, "The results file 'y' is given twice"),
      ("no_references", ["/no/x", "y"], 1, "no captions file '/no/x'"),
      ("metric", ["x", "y", "--metrics=Blue"], 1, "CIDEr, SPICE. Got: Blue"),
      ("folder", ["x", "y", "--output_json=/no/z"], 1, "folder of .*'/no/z'"),
      (
          "device",
          ["x", "y", "--output_json=/dev/null"],
          1,
          "null is not a regular file",
      ),
      ("image_dir", ["x", "y", "--report_dir=z"], 2, "--image_dir is required"),
      (
          "no_image_dir",
          ["x", "y", "--image_dir=/no/z"],
          1,
          "--image_dir is not a folder: '/no/z'",
      ),
      (
          "one_report_of_two",
          ["x", "y", "z", "--report_dir=z", "--image_dir=w"],
          2,
          "--report_dir needs a single results file",
      ),
      (
          "report_dir",
          ["x", "y", "--report_dir=/dev/null", "--image_dir=w"],
          1,
          "A report is a folder, but /dev/null is a file",
      ),
  )
  def test_errors(self, arguments, status, message):
    ran = programs.run("score_captions", *arguments)
    self.assertEqual(ran.returncode, status)
    self.assertRegex(
        ran.stderr.splitlines()[-1], f"score_captions: .*{message}"
    )

  def test_help_shows_the_command(self):
    self.assertIn("score_captions captions_val", score_captions.__doc__)


if __name__ == "__main__":
  absltest.main()
