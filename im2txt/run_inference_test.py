"""Tests of run_inference."""

import os
from pathlib import Path
import shutil
import subprocess
import sys
from unittest import mock

from absl import app
from absl.testing import parameterized
from PIL import Image
import tensorflow as tf

from im2txt import captioning
from im2txt import run_inference
from im2txt.inference_utils import vocabulary
from im2txt.testing import original_graph
from im2txt.testing import programs
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning


class RunInferenceTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = Path(tf.compat.v1.test.get_temp_dir())
    cls.vocab_file = tiny.write_vocabulary(str(cls.folder))
    model = tiny_captioning.make_model()
    cls.checkpoint = tiny_captioning.save(model, str(cls.folder))
    for seed in range(4):
      (cls.folder / f"{seed}.jpg").write_bytes(tiny_captioning.jpeg(seed))
    (cls.folder / "bad.jpg").write_bytes(b"bad")
    cls.captioner = captioning.Captioner(
        model, vocabulary.Vocabulary(cls.vocab_file)
    )
    found = cls.captioner.caption(map(tiny_captioning.jpeg, range(4)))
    cls.printed = [
        "".join(
            [f"Captions for image {seed}.jpg:\n"]
            + [
                f"  {i}) {caption.sentence} (p={caption.probability:.6f})\n"
                for i, caption in enumerate(captions)
            ]
        )
        for seed, captions in enumerate(found)
    ]

  def _flags(self, *names, **others):
    return {
        "checkpoint_path": self.checkpoint,
        "vocab_file": self.vocab_file,
        "input_files": ",".join(str(self.folder / name) for name in names),
        **others,
    }

  def _run(self, *names, **others):
    """The exit status, what was printed, and the complaints on stderr."""
    ran = programs.run_here(run_inference, **self._flags(*names, **others))
    complaints = [
        line
        for line in ran.stderr.splitlines()
        if line.startswith("run_inference:")
    ]
    return ran.returncode, ran.stdout, complaints

  def _loaded(self):
    """Spares a test from loading the model again."""
    return mock.patch.object(
        captioning.Captioner, "load", return_value=self.captioner
    )

  def test_prints_captions_in_order(self):
    with self._loaded():
      status, stdout, stderr = self._run("[2-3].jpg", "0.jpg", batch_size=2)
    self.assertEqual(
        stdout, self.printed[2] + self.printed[3] + self.printed[0]
    )
    self.assertEqual((status, stderr), (0, []))

  def test_a_bad_file_is_a_line_and_the_others_are_captioned(self):
    with self._loaded():
      status, stdout, stderr = self._run("1.jpg", "bad.jpg", "no.jpg", "2.jpg")
    self.assertEqual(stdout, self.printed[1] + self.printed[2])
    self.assertEqual(
        stderr,
        [
            f"run_inference: {self.folder}/no.jpg: There is no such file.",
            f"run_inference: {self.folder}/bad.jpg: Not a valid JPEG, PNG,"
            " WebP, GIF, BMP, TIFF, JPEG 2000 or AVIF image.",
        ],
    )
    self.assertEqual(status, 1)

  def test_options_of_the_search(self):
    with self._loaded():
      _, stdout, _ = self._run(
          "0.jpg", beam_size=5, max_caption_length=2, num_captions=1
      )
    pattern = r"^Captions for image 0.jpg:\n  0\) \S* \(p=\S+\)\n$"
    self.assertRegex(stdout, pattern)

  def test_a_checkpoint_needs_a_vocabulary(self):
    with self.assertRaisesRegex(app.UsageError, "--vocab_file is required"):
      self._run("0.jpg", vocab_file="")

  @parameterized.named_parameters(
      ("no_match", {"input_files": "/no/*.jpg"}, r"No file.*'/no/\*.jpg'"),
      ("no_vocabulary", {"vocab_file": "/no/x.txt"}, "no vocabulary file"),
      ("too_many_words", {"config_overrides": "vocab_size=9"}, "has 11 words"),
      ("no_checkpoint", {"checkpoint_path": "/no/x"}, "No checkpoint found"),
      ("no_graph", {"checkpoint_path": "/no/x.pb"}, "No frozen graph found"),
      ("no_id", {"output_format": "coco_results"}, "'0.jpg' has no image id"),
      ("no_folder", {"output_file": "/no/x"}, "no folder for the file"),
      ("no_field", {"config_overrides": "x=1"}, "Unknown configuration field"),
  )
  def test_wrong_use(self, wrong, message):
    with self.assertRaisesRegex((ValueError, OSError), message):
      self._run("0.jpg", **wrong)

  def test_an_empty_folder_is_no_checkpoint(self):
    folder = self.create_tempdir().full_path
    with self.assertRaisesRegex(FileNotFoundError, "No checkpoint found"):
      self._run("0.jpg", checkpoint_path=folder)

  def test_a_frozen_graph(self):
    path = original_graph.write(self.create_tempdir().full_path).frozen_graph
    status, stdout, stderr = self._run(
        "1.jpg", "bad.jpg", checkpoint_path=path, num_captions=2
    )
    self.assertRegex(
        stdout,
        r"^Captions for image 1.jpg:\n( +[01]\) .* \(p=0\.\d{6}\)\n){2}$",
    )
    self.assertLen(stderr, 1)
    self.assertEqual(status, 1)

  def test_as_a_program(self):
    folder = str(self.folder)
    arguments = self._flags("1.jpg", checkpoint_path=folder)
    ran = self._run_program(*(f"--{k}={v}" for k, v in arguments.items()))
    self.assertEqual((ran.returncode, ran.stdout), (0, self.printed[1]))
    self.assertEqual(
        [
            line.removeprefix("INFO:tensorflow:")
            for line in ran.stderr.splitlines()
            if line.startswith("INFO:tensorflow:")
        ],
        [
            "Building model.",
            f"Initializing vocabulary from file: {self.vocab_file}",
            "Created vocabulary with 11 words",
            f"Running caption generation on 1 files matching {folder}/1.jpg",
            f"Loading model from checkpoint: {self.checkpoint}",
            "Successfully loaded checkpoint: model.ckpt-1",
        ],
    )

  def test_a_folder_a_list_and_another_format(self):
    folder = Path(self.create_tempdir().full_path)
    image = Image.open(self.folder / "2.jpg")
    image.save(folder / "2.webp", lossless=True)
    (folder / "list.txt").write_text(str(self.folder / "0.jpg"))
    with self._loaded():
      status, stdout, _ = self._run(
          input_files=f"{folder},@{folder}/list.txt", num_captions=3
      )
    self.assertEqual(stdout.count("Captions for image 2.webp:\n  0)"), 1)
    self.assertEndsWith(stdout, self.printed[0])
    self.assertEqual(status, 0)

  def test_an_ensemble(self):
    status, stdout, _ = self._run(
        "0.jpg", checkpoint_path=f"{self.checkpoint},{self.folder}"
    )
    captions = [line.split(" (p=")[0] for line in stdout.splitlines()]
    expected = [x.split(" (p=")[0] for x in self.printed[0].splitlines()]
    self.assertEqual((status, captions), (0, expected))

  def test_orientation(self):
    path = Path(self.create_tempdir().full_path) / "lying.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(self.folder / "0.jpg").save(path, exif=exif)
    with self._loaded():
      lying, upright = (
          self._run(input_files=str(path), respect_exif_orientation=respect)
          for respect in (False, True)
      )
    self.assertNotEqual(lying, upright)

  def test_files_of_a_folder_that_are_left_out(self):
    folder = Path(self.create_tempdir().full_path)
    shutil.copy(self.folder / "0.jpg", folder / "a.jfif")
    for i in range(7):
      (folder / f"phone{i}.heic").touch()
    (folder / ".hidden").touch()
    (folder / "more").mkdir()
    status, stdout, stderr = self._run(input_files=str(folder))
    self.assertEqual(status, 0)
    self.assertIn("Captions for image a.jfif:", stdout)
    self.assertRegex(
        "\n".join(stderr),
        "run_inference: 7 files were left out, .*: phone0.heic, phone1.heic,"
        " phone2.heic, phone3.heic, phone4.heic and 2 more",
    )

  @parameterized.parameters(
      {"resume": True},
      {"output_format": "html"},
      {"captions_file": "x.json"},
  )
  def test_flags_that_do_not_go_together(self, **wrong):
    with self.assertRaises(app.UsageError):
      self._run("0.jpg", **wrong)

  def test_a_missing_flag(self):
    ran = self._run_program("--vocab_file=x", "--checkpoint_path=y")
    self.assertEqual(ran.returncode, 2)
    self.assertEqual(ran.stderr, "run_inference: --input_files is required.\n")

  def _run_program(self, *arguments):
    return subprocess.run(
        [sys.executable, run_inference.__file__, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
        text=True,
    )


if __name__ == "__main__":
  tf.test.main()
