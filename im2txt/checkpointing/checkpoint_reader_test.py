"""Tests of reading checkpoints of both formats, sound and damaged."""

import os

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.checkpointing import checkpoint_reader
from im2txt.testing import old_checkpoints

_VALUES = {
    "logits/biases": np.array([1.5, -2.0], np.float32),
    "global_step": np.int64(7),
}


def _write(folder, version):
  return old_checkpoints.write(folder, _VALUES, version=version, step=7)


class CheckpointReaderTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path

  @parameterized.parameters(1, 2)
  def test_both_formats(self, version):
    path = _write(self.dir, version)
    reader = checkpoint_reader.Reader(path)
    self.assertEqual(path, reader.checkpoint)
    expected = {"logits/biases": [2], "global_step": []}
    self.assertEqual(expected, reader.shapes)
    self.assertEqual(expected, checkpoint_reader.shapes(path))
    self.assertAllEqual([1.5, -2], reader.value("logits/biases"))
    self.assertEqual(np.int64, reader.value("global_step").dtype)
    checkpoint_reader.check(path)

  def test_read_by_other_names(self):
    values = checkpoint_reader.read(
        _write(self.dir, 2), {"step": "global_step"}
    )
    self.assertEqual({"step": 7}, values)

  @parameterized.parameters(
      checkpoint_reader.Reader,
      checkpoint_reader.shapes,
      checkpoint_reader.check,
      lambda path: checkpoint_reader.read(path, {}),
  )
  def test_missing_checkpoint(self, function):
    path = os.path.join(self.dir, "model.ckpt-7")
    with self.assertRaisesWithLiteralMatch(
        FileNotFoundError, f"No checkpoint found at: {path}"
    ):
      function(path)

  def test_missing_data_file(self):
    path = _write(self.dir, 2)
    reader = checkpoint_reader.Reader(path)
    os.remove(path + ".data-00000-of-00001")
    with self.assertRaisesRegex(
        FileNotFoundError, "incomplete: .*data-00000-of-00001 missing"
    ):
      reader.value("global_step")

  @parameterized.parameters((1, ""), (2, ".index"))
  def test_file_cut_short(self, version, suffix):
    path = _write(self.dir, version)
    os.truncate(path + suffix, 20)
    with self.assertRaisesRegex(ValueError, f"^{path}{suffix} is .*cut short"):
      checkpoint_reader.Reader(path)

  @parameterized.product(
      file=((1, ""), (2, ".index"), (2, ".data-00000-of-00001")),
      content=(
          ("version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
          ("<!DOCTYPE html><title>Sign in</title>", "a web page"),
          ("", "empty"),
      ),
  )
  def test_failed_download(self, file, content):
    (version, suffix), (text, what) = file, content
    path = _write(self.dir, version)
    with open(path + suffix, "w", encoding="utf-8") as damaged:
      damaged.write(text)
    with self.assertRaisesRegex(ValueError, f"^{path}{suffix} is {what}"):
      checkpoint_reader.check(path)

  def test_a_flipped_bit_is_found_by_reading(self):
    path = _write(self.dir, 2)
    with open(path + ".data-00000-of-00001", "r+b") as file:
      first = file.read(1)[0]
      file.seek(0)
      file.write(bytes([first ^ 1]))
    checkpoint_reader.Reader(path)
    with self.assertRaisesRegex(ValueError, f"^The checkpoint {path} can't be"):
      checkpoint_reader.check(path)

  @parameterized.parameters(
      ("inception.h5", " is a file of Keras, .*--inception_checkpoint_file"),
      ("inception.keras", " is a file of Keras, "),
      ("frozen.pb", " is a graph, not a checkpoint. .*run_inference takes it"),
      ("model.ckpt", "model.ckpt is not a file of a checkpoint"),
  )
  def test_another_file(self, name, message):
    path = self.create_tempfile(name, "something else").full_path
    with self.assertRaisesRegex(ValueError, message):
      checkpoint_reader.shapes(path)


if __name__ == "__main__":
  tf.test.main()
