"""Tests of evaluating by captions, with captions that are given."""

import dataclasses
import json
import os
import pathlib
from unittest import mock

import numpy as np
import tensorflow as tf

from im2txt import encoders
from im2txt import show_and_tell_model
from im2txt.evaluation import caption_evaluation
from im2txt.evaluation import caption_outputs
from im2txt.inference import captions
from im2txt.inference_utils import vocabulary
from im2txt.input_data import caption_data
from im2txt.input_data import distinct_images
from im2txt.testing import fake_java
from im2txt.testing import tiny
from im2txt.training import training_summaries


class FakeCaptioner:
  """Says of each image what a person says, and of the last one nothing."""

  def __init__(self, folder):
    vocab = vocabulary.Vocabulary(tiny.write_vocabulary(folder))
    self.data = caption_data.CaptionData(
        files=[tiny.write_pairs(folder, "val", 8, 2)], config=tiny.CONFIG
    )
    self.split = distinct_images.scan(self.data, vocab)

  def caption(self):
    found = {
        image_id: [
            captions.Caption(
                words=tuple(said.split()),
                log_probability=np.log(0.5),
                word_probabilities=(),
                end_probability=1.0,
                score=0.0,
            )
            for said in references
        ]
        for image_id, references in self.split.references.items()
    }
    found[3] = []
    return found


class CaptionEvaluationTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    fake_java.install(self, None)
    self.enter_context(
        mock.patch.object(encoders, "make_encoder", tiny.FeatureEncoder)
    )
    self.dir = pathlib.Path(self.create_tempdir().full_path)
    self.captioner = FakeCaptioner(self.dir)

  def _evaluate(self, label=""):
    outputs = caption_outputs.CaptionOutputs(
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
    # Width, height and a picture.
    self.assertLen(events["captions/2"], 3)
    (text,) = np.atleast_1d(events["captions"])
    self.assertIn(self.captioner.split.references[2][0], text.decode())

  def test_references_of_features_are_told(self):
    self.captioner.data = dataclasses.replace(
        self.captioner.data, are_features=True
    )
    scores = self._evaluate()
    self.assertIn("unknown word", scores.notes[-1])
    # There are captions as text then, but no pictures.
    self.assertIn("captions", self._events())
    self.assertNotIn("captions/2", self._events())

  def test_label(self):
    self._evaluate(label="ckpt-7")
    self.assertTrue((self.dir / "captions_val_ckpt-7_results.json").exists())


if __name__ == "__main__":
  tf.test.main()
