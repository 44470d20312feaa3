"""Tests of the files that run_inference writes, also when it is interrupted."""

import csv
import itertools
import json
import os
from pathlib import Path
import re
from unittest import mock

from absl.testing import parameterized
import tensorflow as tf

from im2txt import captioning
from im2txt import run_inference
from im2txt.inference_utils import vocabulary
from im2txt.testing import programs
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning

_NUM_IMAGES = 12
_NUM_BEFORE = 4


class RunInferenceOutputTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = Path(tf.compat.v1.test.get_temp_dir())
    cls.images = folder / "images"
    cls.images.mkdir()
    for number in range(_NUM_IMAGES):
      path = cls.images / f"{number:012d}.jpg"
      path.write_bytes(tiny_captioning.jpeg(number % 5))
    cls.checkpoint = tiny_captioning.save(
        tiny_captioning.make_model(), str(folder)
    )
    cls.vocab_file = tiny.write_vocabulary(str(folder))
    cls.captioner = captioning.Captioner.load(
        cls.checkpoint, vocabulary.Vocabulary(cls.vocab_file)
    )

  def setUp(self):
    super().setUp()
    self.path = Path(self.create_tempdir().full_path) / "out"
    self.journal = self.path.with_name("out.partial")

  def _flags(self, **others):
    return {
        "checkpoint_path": self.checkpoint,
        "vocab_file": self.vocab_file,
        "input_files": str(self.images),
        "batch_size": 2,
        **others,
    }

  def _run(self, **others):
    """Runs the program in this process, with the model that is loaded."""
    with mock.patch.object(
        captioning.Captioner, "load", return_value=self.captioner
    ):
      return programs.run_here(run_inference, **self._flags(**others))

  def _write(self, form, **others):
    """What is written in a form."""
    self._run(output_format=form, output_file=str(self.path), **others)
    self.assertCountEqual(os.listdir(self.path.parent), ["out", "out.journal"])
    return self.path.read_text()

  def test_each_form_says_what_is_printed(self):
    printed = self._run().stdout
    self.assertEqual(printed.count("Captions for image"), _NUM_IMAGES)
    best = [
        line.partition(") ")[2].partition(" (p=")[0]
        for line in printed.splitlines()
        if line.startswith("  0) ")
    ]
    self.assertEqual(self._write("text"), printed)
    self.assertEqual(
        [
            json.loads(line)["captions"][0]["caption"]
            for line in self._write("jsonl").splitlines()
        ],
        best,
    )
    rows = csv.DictReader(self._write("csv", num_captions=1).splitlines())
    self.assertEqual([row["caption"] for row in rows], best)
    self.assertEqual(
        json.loads(self._write("coco_results")),
        [{"image_id": i, "caption": words} for i, words in enumerate(best)],
    )

  def test_forms_are_printed_too(self):
    ran = self._run(output_format="jsonl")
    self.assertEqual(ran.stdout, self._write("jsonl"))

  def test_ids_of_a_captions_file(self):
    ids = self.path.with_name("ids.json")
    ids.write_text('{"images": [{"id": 77, "file_name": "000000000003.jpg"}]}')
    ran = self._run(
        input_files=str(self.images / "000000000003.jpg"),
        output_format="coco_results",
        captions_file=str(ids),
    )
    self.assertEqual([x["image_id"] for x in json.loads(ran.stdout)], [77])

  def test_a_page(self):
    ran = self._run(output_format="html", output_file=f"{self.path}/")
    self.assertEqual(ran.returncode, 0)
    self.assertLen(os.listdir(self.path / "thumbnails"), _NUM_IMAGES)
    self.assertIn("By model.ckpt-1.", (self.path / "index.html").read_text())
    self.assertCountEqual(os.listdir(self.path.parent), ["out", "out.journal"])

  def test_a_bad_file_is_left_out(self):
    bad = self.path.with_name("bad.jpg")
    bad.write_bytes(b"bad")
    ran = self._run(
        input_files=f"{bad},{self.images}", output_file=str(self.path)
    )
    self.assertEqual(ran.returncode, 1)
    self.assertIn(f"\nrun_inference: {bad}: Not a valid JPEG, ", ran.stderr)
    self.assertEqual(
        self.path.read_text().count("Captions for image"), _NUM_IMAGES
    )
    self.assertFalse(self.journal.exists())

  @parameterized.parameters("text", "jsonl", "csv", "coco_results", "html")
  def test_more_images_are_added(self, form):
    flags = {"output_format": form, "output_file": str(self.path)}
    self._run(**flags, input_files=f"{self.images}/*[02468].jpg")
    with mock.patch.object(
        self.captioner, "caption_each", wraps=self.captioner.caption_each
    ) as caption_each:
      self._run(**flags, resume=True)
      self._run(**flags, resume=True)
    added = [Path(file).stem[-2:] for file in caption_each.call_args.args[0]]
    self.assertEqual(added, ["01", "03", "05", "07", "09", "11"])
    caption_each.assert_called_once()  # Nothing was left to the last run.
    output = self.path / "index.html" if form == "html" else self.path
    found = output.read_text()
    self._run(**flags)
    # Other batches have other last digits in CSV and JSON.
    number = re.compile(r"-?\d\.\d{6}[\de-]*")
    self.assertEqual(number.sub("", found), number.sub("", output.read_text()))

  def test_without_missing_files_no_model_is_loaded(self):
    flags = self._flags(output_file=str(self.path))
    self._run(output_file=str(self.path))
    with mock.patch.object(captioning.Captioner, "load") as load:
      programs.run_here(run_inference, **flags, resume=True)
    load.assert_not_called()

  def test_a_failed_file_is_tried_again_and_keeps_its_place(self):
    bad = self.path.with_name("bad.jpg")
    bad.write_bytes(b"bad")
    flags = {
        "input_files": f"{bad},{self.images}",
        "output_file": str(self.path),
        "output_format": "jsonl",
    }
    self.assertEqual(self._run(**flags).returncode, 1)
    bad.write_bytes(tiny_captioning.jpeg(1))
    self.assertEqual(self._run(**flags, resume=True).returncode, 0)
    lines = self.path.read_text().splitlines()
    self.assertLen(lines, _NUM_IMAGES + 1)
    self.assertEqual(json.loads(lines[0])["file"], str(bad))

  def test_files_that_are_no_longer_named_are_left_out(self):
    flags = {"output_file": str(self.path), "output_format": "jsonl"}
    self._run(**flags)
    named = [str(self.images / f"{i:012d}.jpg") for i in (5, 0)]
    self._run(**flags, input_files=",".join(named), resume=True)
    files = [
        json.loads(line)["file"] for line in self.path.read_text().splitlines()
    ]
    self.assertEqual(files, named)

  def test_resumed_nothing_is_lost_and_nothing_is_twice(self):
    expected = self._write("jsonl")
    self.path.unlink()
    self.path.with_name("out.journal").unlink()
    self._run_and_interrupt()
    self.assertFalse(self.path.exists())
    with self.journal.open("a") as journal:
      journal.write(expected[:100])  # A line that was cut short.
    with self.assertRaisesRegex(ValueError, "interrupted"):
      self._run(output_file=str(self.path), output_format="jsonl")
    with self.assertRaisesRegex(ValueError, "beam_size=3, not 4"):
      self._run(output_file=str(self.path), resume=True, beam_size=4)
    with self.assertLogs("absl", "INFO") as logged:
      found = self._write("jsonl", resume=True)
    self.assertIn(
        f"Resuming: {_NUM_BEFORE} of {_NUM_IMAGES} files",
        "".join(logged.output),
    )
    found, expected = (
        [json.loads(line) for line in lines.splitlines()]
        for lines in (found, expected)
    )
    self.assertEqual(
        [(x["file"], x["captions"][0]["caption"]) for x in found],
        [(x["file"], x["captions"][0]["caption"]) for x in expected],
    )

  def _run_and_interrupt(self):
    """Ends the program after some images."""

    def caption_each(*args, **kwargs):
      found = unpatched(*args, **kwargs)
      yield from itertools.islice(found, _NUM_BEFORE)
      raise KeyboardInterrupt

    unpatched = self.captioner.caption_each
    with (
        mock.patch.object(self.captioner, "caption_each", caption_each),
        self.assertRaises(KeyboardInterrupt),
    ):
      self._run(output_file=str(self.path), output_format="jsonl")


if __name__ == "__main__":
  tf.test.main()
