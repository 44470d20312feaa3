"""Tests of build_mscoco_data, most of which run it as a subprocess."""

import collections
import contextlib
import io
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from absl.testing import parameterized
from PIL import Image
import tensorflow as tf

from im2txt.data import build_mscoco_data

_NUM_TRAIN = 10
_NUM_VAL = 20


def _jpeg(grey: int) -> bytes:
  content = io.BytesIO()
  Image.new("RGB", (16, 16), (grey, grey, grey)).save(content, "JPEG")
  return content.getvalue()


def _examples(pattern: str) -> list[tf.train.SequenceExample]:
  dataset = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(pattern)))
  return [
      tf.train.SequenceExample.FromString(record)
      for record in dataset.as_numpy_iterator()
  ]


def _values(feature_list) -> list:
  return [
      (feature.bytes_list.value or feature.int64_list.value)[0]
      for feature in feature_list.feature
  ]


class BuildMscocoDataTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)
    self.output_dir = self.folder / "output"
    for name, num_images in (("train", _NUM_TRAIN), ("val", _NUM_VAL)):
      (self.folder / name).mkdir()
      for i in range(num_images):
        (self.folder / name / f"{i}.jpg").write_bytes(_jpeg(i))
      self._write_captions(name, num_images)

  def _write_captions(self, name: str, num_images: int) -> None:
    content = {
        "images": [
            {"id": 1000 + i, "file_name": f"{i}.jpg"} for i in range(num_images)
        ],
        "annotations": [
            {"id": j, "image_id": 1000 + i, "caption": f"A {name} picture {j}."}
            for i in range(num_images)
            for j in range(2)
        ],
    }
    (self.folder / f"{name}.json").write_text(json.dumps(content))

  def _start(self, **flags) -> subprocess.Popen:
    flags = {
        "train_image_dir": self.folder / "train",
        "val_image_dir": self.folder / "val",
        "train_captions_file": self.folder / "train.json",
        "val_captions_file": self.folder / "val.json",
        "output_dir": self.output_dir,
        "word_counts_output_file": self.output_dir / "word_counts.txt",
        "train_shards": 4,
        "val_shards": 2,
        "test_shards": 1,
        "num_threads": 2,
        **flags,
    }
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            build_mscoco_data.__name__,
            *(f"--{name}={value}" for name, value in flags.items()),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

  def _run(self, **flags) -> tuple[int, list[str], str]:
    program = self._start(**flags)
    stdout, stderr = program.communicate()
    return program.returncode, stdout.splitlines(), stderr

  def _files(self) -> list[str]:
    return sorted(path.name for path in self.output_dir.iterdir())

  def test_builds_records_and_vocabulary(self):
    status, lines, stderr = self._run()
    self.assertEqual((status, stderr), (0, ""))
    self.assertRegex(
        lines[-1],
        r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}: Finished processing all 4"
        r" image-caption pairs in data set 'test'\.$",
    )
    self.assertEqual(
        self._files(),
        [
            "skipped_images.txt",
            "test-00000-of-00001",
            *(f"train-0000{i}-of-00004" for i in range(4)),
            *(f"val-0000{i}-of-00002" for i in range(2)),
            "word_counts.txt",
        ],
    )
    # In train are 10 images of train and 17 of val, so 54 pairs.
    self.assertEqual(
        (self.output_dir / "word_counts.txt").read_text(),
        "<S> 54\na 54\npicture 54\n. 54\n</S> 54\nval 34\n0 27\n1 27\ntrain 20",
    )
    train, val, test = (
        _examples(str(self.output_dir / f"{name}-*"))
        for name in ("train", "val", "test")
    )
    self.assertEqual([len(train), len(val), len(test)], [54, 2, 4])
    for example in val:
      context = example.context.feature
      self.assertEqual(context["image/image_id"].int64_list.value, [1017])
      self.assertEqual(context["image/data"].bytes_list.value, [_jpeg(17)])
    self.assertCountEqual(
        [
            _values(example.feature_lists.feature_list["image/caption"])
            for example in val
        ],
        [f"<S> a val picture {j} . </S>".encode().split() for j in range(2)],
    )
    self.assertCountEqual(
        [
            _values(example.feature_lists.feature_list["image/caption_ids"])
            for example in val
        ],
        [[0, 1, 5, 2, 6, 3, 4], [0, 1, 5, 2, 7, 3, 4]],
    )
    counts = collections.Counter(
        example.context.feature["image/image_id"].int64_list.value[0]
        for example in test
    )
    self.assertEqual(counts, {1018: 2, 1019: 2})

  def test_skips_what_is_no_whole_image(self):
    train, val = self.folder / "train", self.folder / "val"
    (train / "0.jpg").write_bytes(_jpeg(0)[:-40])
    Image.new("RGB", (16, 16)).save(train / "1.jpg", "PNG")
    (val / "17.jpg").write_bytes(b"")
    (val / "19.jpg").unlink()
    status, lines, _ = self._run()
    self.assertEqual(status, 0)
    for path in (train / "0.jpg", train / "1.jpg", val / "17.jpg"):
      self.assertIn(f"Skipping file with invalid JPEG data: {path}", lines)
    self.assertIn(f"Skipping missing file: {val / '19.jpg'}", lines)
    for name, num_pairs in (("train", 50), ("val", 0), ("test", 2)):
      self.assertStartsWith(
          next(line for line in lines if f"data set '{name}'" in line)[26:],
          f": Finished processing all {num_pairs} image-caption pairs",
      )
      self.assertLen(_examples(str(self.output_dir / f"{name}-*")), num_pairs)
    skipped = (self.output_dir / "skipped_images.txt").read_text().splitlines()
    self.assertEqual(
        [line.split("\t")[0] for line in skipped],
        [
            str(path)
            for path in (
                train / "0.jpg",
                train / "1.jpg",
                val / "17.jpg",
                val / "19.jpg",
            )
        ],
    )

  def test_few_images_leave_datasets_empty(self):
    self._write_captions("val", 1)
    status, _, stderr = self._run()
    self.assertEqual((status, stderr), (0, ""))
    self.assertEqual((self.output_dir / "val-00000-of-00002").read_bytes(), b"")
    self.assertLen(_examples(str(self.output_dir / "test-*")), 2)

  @parameterized.named_parameters(
      (
          "captions",
          {"train_captions_file": "/no/f"},
          "no captions file '/no/f'",
      ),
      (
          "folder",
          {"val_image_dir": "/no/dir"},
          "--val_image_dir is not a folder",
      ),
      (
          "shards",
          {"train_shards": 3},
          "Please make the FLAGS.num_threads commensurate with"
          " FLAGS.train_shards",
      ),
      ("words", {"word_counts_output_file": "/no/w"}, "/no/w"),
      ("output", {"output_dir": "/dev/null"}, "/dev/null"),
      ("images", {"train_image_dir": "/", "val_image_dir": "/"}, "None of the"),
  )
  def test_wrong_use_is_one_sentence(self, flags, message):
    status, _, stderr = self._run(**flags)
    self.assertEqual(status, 1)
    self.assertStartsWith(stderr, "build_mscoco_data: ")
    self.assertIn(message, stderr)
    self.assertLen(stderr.splitlines(), 1)

  def test_captions_that_are_no_json_are_one_sentence(self):
    (self.folder / "val.json").write_text("no json")
    status, _, stderr = self._run()
    self.assertEqual(status, 1)
    self.assertRegex(stderr, r"val\.json is not valid JSON.*\n$")

  def _wait_for_nobody(self, group: int) -> None:
    """Waits until all processes of a group have ended."""
    with contextlib.suppress(ProcessLookupError):
      while True:
        os.killpg(group, 0)
        time.sleep(0.01)

  def _start_until_it_writes(self) -> subprocess.Popen:
    """Starts the program; a worker waits for an image in the middle of a shard.

    The image is a pipe that gives a JPEG to the check, but nothing after that.

    Returns:
      The program.
    """
    pipe = self.folder / "val" / "17.jpg"
    pipe.unlink()
    os.mkfifo(pipe)
    program = self._start()
    pipe.write_bytes(_jpeg(17))
    while not list(self.output_dir.glob(".val-*.tmp")):
      time.sleep(0.01)
    return program

  @parameterized.named_parameters(
      ("of_the_terminal", os.killpg, signal.SIGINT),
      ("of_another_program", os.kill, signal.SIGTERM),
  )
  def test_a_signal_leaves_only_whole_files(self, kill, signal_number):
    program = self._start_until_it_writes()
    kill(program.pid, signal_number)
    _, stderr = program.communicate()
    self.assertEqual(program.returncode, 128 + signal_number)
    self.assertNotIn("Traceback", stderr)
    self._wait_for_nobody(program.pid)
    self.assertEmpty([name for name in self._files() if name.startswith(".")])
    self.assertLen(_examples(str(self.output_dir / "train-*")), 54)

  def test_a_run_after_a_kill_cleans_up(self):
    program = self._start_until_it_writes()
    program.kill()
    program.communicate()
    self._wait_for_nobody(program.pid)
    self.assertNotEmpty([f for f in self._files() if f.startswith(".")])
    pipe = self.folder / "val" / "17.jpg"
    pipe.unlink()
    pipe.write_bytes(_jpeg(17))
    status, _, _ = self._run()
    self.assertEqual(status, 0)
    self.assertEmpty([f for f in self._files() if f.startswith(".")])

  def test_splits_as_the_released_program_does(self):
    datasets = build_mscoco_data.split(["t"], list(range(19)))
    self.assertEqual(
        datasets,
        {
            "train": ["t", *range(16)],
            "val": [16],
            "test": [17, 18],
        },
    )


if __name__ == "__main__":
  tf.test.main()
