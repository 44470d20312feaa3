"""Tests of caption_evaluation, with given captions and scores."""

import dataclasses
import json
import os
import pathlib
import types
from unittest import mock

from absl.testing import absltest
import numpy as np
from PIL import Image
import tensorflow as tf

from im2txt import networks
from im2txt import show_and_tell_model
from im2txt.data import caption_data
from im2txt.data import distinct_images
from im2txt.evaluation import caption_evaluation
from im2txt.evaluation import caption_statistics
from im2txt.evaluation import comparison
from im2txt.inference import captions
from im2txt.inference_utils import vocabulary
from im2txt.testing import fake_java
from im2txt.testing import tiny
from im2txt.training import training_summaries


def _caption(sentence):
  return captions.Caption(
      words=tuple(sentence.split()),
      log_probability=-1.0,
      word_probabilities=(),
      end_probability=1.0,
      score=0.0,
  )


# Two captions for image 0, none for image 1.
_CAPTIONS = {0: [_caption("a sky"), _caption("a sea")], 1: []}
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


class FakeCaptioner:
  """Fake that returns the references, and no caption for the last image."""

  def __init__(self, folder):
    vocab = vocabulary.Vocabulary(tiny.write_vocabulary(folder))
    self.data = caption_data.CaptionData(
        files=[tiny.write_pairs(folder, "val", 8, 2)], config=tiny.CONFIG
    )
    self.split = distinct_images.scan(self.data, vocab)

  def caption(self):
    results = {
        image_id: [
            captions.Caption(
                words=tuple(reference.split()),
                log_probability=np.log(0.5),
                word_probabilities=(),
                end_probability=1.0,
                score=0.0,
            )
            for reference in references
        ]
        for image_id, references in self.split.references.items()
    }
    results[3] = []
    return results


class CaptionEvaluationTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    fake_java.install(self, None)
    self.enter_context(
        mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder)
    )
    self.dir = pathlib.Path(self.create_tempdir().full_path)
    self.captioner = FakeCaptioner(self.dir)

  def _evaluate(self, label=""):
    outputs = caption_evaluation.CaptionOutputs(
        folder=os.fspath(self.dir),
        split_name="val",
        settings={"beam_size": 2},
    )
    evaluator = caption_evaluation.CaptionEvaluator(
        self.captioner, outputs, training_captions=[" red red"]
    )
    model = show_and_tell_model.ShowAndTellModel(tiny.CONFIG, "eval")
    writer = training_summaries.SummaryWriter(str(self.dir / "events"), model)
    with self.assertLogs("absl", "INFO") as logs:
      scores = evaluator.evaluate(
          "ckpt", writer, perplexity=2.5, step=7, label=label
      )
    writer.close()
    self.assertIn("Captioned 4 images", "\n".join(logs.output))
    return scores

  def _events(self):
    events = {}
    for file in (self.dir / "events").iterdir():
      for record in tf.data.TFRecordDataset(str(file)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
          self.assertEqual(7, event.step)
          events[value.tag] = tf.make_ndarray(value.tensor)
    return events

  def test_files(self):
    scores = self._evaluate()
    references = self.captioner.split.references
    results = json.loads((self.dir / "captions_val_results.json").read_text())
    self.assertEqual(
        [{"image_id": i, "caption": references[i][0]} for i in range(3)]
        + [{"image_id": 3, "caption": ""}],
        results,
    )
    lines = (self.dir / "captions_val_scores.jsonl").read_text().splitlines()
    lines = list(map(json.loads, lines))
    self.assertEqual([0, 1, 2, 3], [line["image_id"] for line in lines])
    self.assertEqual(references[1], lines[1]["captions"])
    self.assertAllClose(1.0, lines[1]["scores"]["ROUGE_L"])
    self.assertEqual(0, lines[3]["scores"]["CIDEr"])
    summary = json.loads((self.dir / "captions_val_summary.json").read_text())
    self.assertEqual({"beam_size": 2, "perplexity": 2.5}, summary["settings"])
    self.assertEqual(
        scores.systems["ckpt"].corpus, summary["results"]["ckpt"]["corpus"]
    )
    self.assertEqual(1, summary["results"]["ckpt"]["statistics"]["num_empty"])

  def test_tensorboard(self):
    scores = self._evaluate()
    events = self._events()
    corpus = scores.systems["ckpt"].corpus
    for metric in ("CIDEr", "Bleu_4", "ROUGE_L"):
      self.assertAllClose(corpus[metric], events[f"caption_metrics/{metric}"])
    self.assertEqual(1, events["caption_statistics/novelty"])
    self.assertEqual(4, events["caption_statistics/num_distinct"])
    # Width, height and the image.
    self.assertLen(events["captions/2"], 3)
    (text,) = np.atleast_1d(events["captions"])
    self.assertIn(self.captioner.split.references[2][0], text.decode())

  def test_features_have_a_note_on_references(self):
    self.captioner.data = dataclasses.replace(
        self.captioner.data, are_features=True
    )
    scores = self._evaluate()
    self.assertIn("unknown word", scores.notes[-1])
    # Captions are written as text, without images.
    self.assertIn("captions", self._events())
    self.assertNotIn("captions/2", self._events())

  def test_label(self):
    self._evaluate(label="ckpt-7")
    self.assertTrue((self.dir / "captions_val_ckpt-7_results.json").exists())


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
    outputs = caption_evaluation.CaptionOutputs(
        folder=os.fspath(self.outputs_dir),
        split_name="val",
        settings={"beam_size": 2},
        report_dir=report_dir and os.fspath(report_dir),
    )
    outputs.write(
        _CAPTIONS, _SCORES, self.captioner, perplexity=2.5, label=label
    )

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

  def test_lines_have_all_captions_per_image(self):
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

  def test_summary_has_the_settings(self):
    self._write()
    summary = json.loads(self._read("captions_val_summary.json"))
    self.assertEqual({"beam_size": 2, "perplexity": 2.5}, summary["settings"])
    self.assertEqual("python", summary["tokenizer"])
    self.assertEqual(["A note."], summary["notes"])
    results = summary["results"]["model.ckpt-7"]
    self.assertEqual({"CIDEr": 0.25}, results["corpus"])
    self.assertEqual(1, results["statistics"]["num_empty"])

  def test_label_is_part_of_file_names(self):
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

  def test_report_has_images_and_references(self):
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
    # An earlier report is replaced.
    self._write(report_dir, label="ckpt-7")


if __name__ == "__main__":
  tf.test.main()
