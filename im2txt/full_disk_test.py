"""Tests that on a full disk each program names the file it was asked for.

Those of train, build_mscoco_data, cache_image_features and run_inference, which
can be continued, have more such tests among their own.
"""

import json
import os
import pathlib
import re
import tempfile

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.testing import faults
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning

# Stand for the folder that is to be written to, and that of the input.
_OUT, _IN = "OUT", "IN"

_VOCAB = f"--vocab_file={_IN}/word_counts.txt"
_BUILD = (
    f"--captions_file={_IN}/references.json",
    f"--image_dir={_IN}",
    f"--output_dir={_OUT}",
    "--val_fraction=0",
    "--test_fraction=0",
    "--min_word_count=1",
    "--train_shards=1",
    "--num_threads=1",
)
_EVALUATE = (
    f"--input_file_pattern={_IN}/val-00000-of-00001",
    f"--checkpoint_dir={_IN}",
    f"--eval_dir={_OUT}",
    "--once",
    "--min_global_step=0",
)
_EXPORT = (f"--checkpoint_path={_IN}",)
_SCORE = (
    f"{_IN}/references.json",
    f"{_IN}/results.json",
    "--tokenizer=python",
    "--metrics=ROUGE_L",
    f"--image_dir={_IN}",
)
# Where the export of a TensorFlow Lite model needs room first.
_TEMPORARY = os.path.join(tempfile.gettempdir(), "tmp")


def _make_input(folder):
  tiny_captioning.save(tiny_captioning.make_model(), folder)
  tiny.write_vocabulary(folder)
  tiny.write_pairs(folder, "val-00000-of-00001", 4)
  path = pathlib.Path(folder)
  images = [{"id": i, "file_name": f"{i}.jpg"} for i in range(3)]
  for image in images:
    (path / image["file_name"]).write_bytes(tiny_captioning.jpeg(image["id"]))
  captions = [
      {"id": i, "image_id": i, "caption": "a red ball"} for i in range(3)
  ]
  contents = {
      "references.json": {"images": images, "annotations": captions},
      "results.json": captions,
      "labels.json": {
          "weights": {"ball": 1.0},
          "images": [{**image, "labels": ["ball"]} for image in images],
      },
  }
  for name, content in contents.items():
    (path / name).write_text(json.dumps(content))
  (path / "new_words.txt").write_text("zebra 9\n")


class FullDiskTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.dir = tempfile.mkdtemp(dir=absltest.TEST_TMPDIR.value)
    faults.call(_make_input, cls.dir)

  # The most bytes that a file can have, and the file or folder to be named.
  @parameterized.named_parameters(
      (
          "frozen_graph",
          ("export_model", *_EXPORT, f"--output_file={_OUT}/model.pb"),
          9000,
          f"{_OUT}/model.pb",
      ),
      (
          "saved_model",
          (
              "export_model",
              *_EXPORT,
              _VOCAB,
              "--format=saved_model",
              f"--output_dir={_OUT}/captioner/1",
          ),
          9000,
          f"{_OUT}/captioner/1",
      ),
      (
          "tflite",
          (
              "export_model",
              *_EXPORT,
              _VOCAB,
              "--format=tflite",
              f"--output_file={_OUT}/model.tflite",
          ),
          9000,
          _TEMPORARY,
      ),
      (
          "convert_checkpoint",
          ("convert_checkpoint", _IN, f"{_OUT}/new"),
          9000,
          f"{_OUT}/new/model.ckpt-0",
      ),
      (
          "convert_checkpoint_to_the_last_byte",
          ("convert_checkpoint", _IN, f"{_OUT}/im2txt.ckpt"),
          10,
          f"{_OUT}/im2txt.ckpt",
      ),
      (
          "extend_vocabulary",
          (
              "extend_vocabulary",
              _IN,
              f"{_IN}/word_counts.txt",
              f"{_IN}/new_words.txt",
              _OUT,
          ),
          9000,
          f"{_OUT}/model.ckpt-0",
      ),
      ("events", ("evaluate", *_EVALUATE), 60, _OUT),
      (
          "best_checkpoint",
          (
              "evaluate",
              *_EVALUATE,
              "--keep_best=perplexity",
              f"--best_dir={_OUT}/best",
          ),
          9000,
          f"{_OUT}/best/model.ckpt-1",
      ),
      (
          "pretrain_encoder",
          (
              "pretrain_encoder",
              f"--labels_file={_IN}/labels.json",
              f"--output_dir={_OUT}",
              "--number_of_steps=1",
              f"--config_overrides={tiny.OVERRIDES}",
          ),
          9000,
          f"{_OUT}/model.ckpt-1",
      ),
      (
          "captions",
          (
              "run_inference",
              *_EXPORT,
              _VOCAB,
              f"--input_files={_IN}/*.jpg",
              "--output_format=html",
              f"--output_file={_OUT}/page",
          ),
          1900,
          f"{_OUT}/page",
      ),
      (
          "scores",
          ("score_captions", *_SCORE, f"--output_json={_OUT}/scores.json"),
          60,
          f"{_OUT}/scores.json",
      ),
      (
          "report_of_scores",
          ("score_captions", *_SCORE, f"--report_dir={_OUT}/report"),
          60,
          f"{_OUT}/report",
      ),
      (
          "build_caption_data",
          ("data.build_caption_data", *_BUILD),
          900,
          f"{_OUT}/train-00000-of-00001",
      ),
      (
          "pictures",
          (
              "score_captions",
              *_SCORE,
              f"--report_dir={_OUT}/report",
          ),
          400,
          f"{_OUT}/report",
      ),
      (
          "quickstart",
          ("quickstart", f"--output_dir={_OUT}", "--scenes=120"),
          300,
          f"{_OUT}/scenes/train/scene_000",
      ),
  )
  def test_names_what_was_asked_for(self, command, file_size, path):
    folder = self.create_tempdir().full_path

    def filled_in(text):
      return text.replace(_OUT, folder).replace(_IN, self.dir)

    ended = faults.run(*map(filled_in, command), file_size=file_size)
    self.assertEqual(ended.status, 1, ended.output)
    name = command[0].rpartition(".")[2]
    # What is printed on stdout may come after it.
    (message,) = re.findall(rf"^{name}: (.*)$", ended.output, re.MULTILINE)
    self.assertRegex(
        message,
        rf"^(The checkpoint )?{re.escape(filled_in(path))}[^/]* can't be"
        r" written: File too large\.( The earlier ones are whole; .*)?$",
    )
    self.assertNotRegex(
        message.replace(self.dir, "").replace(folder, ""),
        r"tempstate|\.tmp|/\.",
    )
    self.assertNotIn("Traceback", ended.output)
    # Also nothing half-written, except what quickstart is to continue.
    half = [n for _, _, names in os.walk(folder) for n in names if "tmp" in n]
    self.assertEmpty(half)


if __name__ == "__main__":
  absltest.main()
