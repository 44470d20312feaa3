"""Tests of checkpoints."""

import os
import shutil

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.testing import old_checkpoints

_KERNEL = "lstm/basic_lstm_cell/kernel"


def _write(path, values):
  """Writes a checkpoint without this project's code."""
  os.makedirs(os.path.dirname(path), exist_ok=True)
  tf.raw_ops.SaveV2(
      prefix=path,
      tensor_names=list(values),
      shape_and_slices=[""] * len(values),
      tensors=[tf.constant(value) for value in values.values()],
  )
  return path


class _TestCase(parameterized.TestCase, tf.test.TestCase):
  """Has a folder and the variables of a small model."""

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.variables = {
        _KERNEL: tf.Variable([[1.0, 2.0]]),
        "global_step": tf.Variable(3, dtype=tf.int32),
    }

  def _path(self, name):
    return os.path.join(self.dir, name)


class CheckpointsTest(_TestCase):

  def _save(self):
    saver = checkpoints.Saver(self.variables, self.dir, max_to_keep=1)
    return saver.save(1)

  def test_values(self):
    path = _write(
        self._path("model.ckpt-5"),
        {_KERNEL: [[3.0, 4.0]], "global_step": 5, "other": [1.0]},
    )
    self.assertEmpty(checkpoints.restore(self.variables, path))
    self.assertAllEqual([[3.0, 4.0]], self.variables[_KERNEL])
    self.assertEqual(5, self.variables["global_step"].numpy())

  @parameterized.parameters(
      "lstm/basic_lstm_cell/weights", "lstm/BasicLSTMCell/Linear/Matrix"
  )
  def test_older_names_and_wider_step(self, name):
    step = tf.constant(2_000_000, tf.int64)
    path = _write(
        self._path("model.ckpt"), {name: [[3.0, 4.0]], "global_step": step}
    )
    checkpoints.restore(self.variables, path)
    self.assertAllEqual([[3.0, 4.0]], self.variables[_KERNEL])
    self.assertEqual(2_000_000, self.variables["global_step"].numpy())

  def test_lacking_variable(self):
    path = _write(self._path("model.ckpt"), {"global_step": 5})
    with self.assertRaisesRegex(ValueError, f"is missing 1 .*{_KERNEL}"):
      checkpoints.restore(self.variables, path)
    self.assertEqual(3, self.variables["global_step"].numpy())  # As it was.

  def test_inception_alone_says_what_it_is_for(self):
    names = [
        "InceptionV3/Conv2d_1a_3x3/weights",
        "InceptionV3/Logits/Conv2d_1c_1x1/weights",
    ]
    path = _write(self._path("inception.ckpt"), dict.fromkeys(names, [1.0]))
    variables = {
        name: tf.Variable([1.0])
        for name in (names[0], *checkpoint_names.DECODER_NAMES)
    }
    with self.assertRaisesRegex(
        ValueError, "inception.ckpt holds an Inception v3 alone, .*_file"
    ):
      checkpoints.restore(variables, path)

  @parameterized.parameters(
      ("inception_v3.h5", "is a file of Keras, .*_file"),
      ("frozen.pb", "is a graph, .*run_inference can use it"),
  )
  def test_another_file_says_what_it_is_for(self, name, message):
    path = self.create_tempfile(name, "HDF").full_path
    with self.assertRaisesRegex(ValueError, message):
      checkpoints.restore(self.variables, checkpoint_paths.find(path))

  def test_slots_of_older_names(self):
    slot = tf.Variable([[0.0, 0.0]])
    path = _write(
        self._path("model.ckpt"),
        {"OptimizeLoss/lstm/basic_lstm_cell/weights/Adam": [[5.0, 6.0]]},
    )
    checkpoints.restore({f"{_KERNEL}/Adam": slot}, path)
    self.assertAllEqual([[5.0, 6.0]], slot)

  def test_lacking_optional_variable(self):
    path = _write(self._path("model.ckpt"), {"global_step": 5})
    missing = checkpoints.restore(self.variables, path, optional=[_KERNEL])
    self.assertEqual([_KERNEL], missing)
    self.assertAllEqual([[1.0, 2.0]], self.variables[_KERNEL])

  def test_averages_in_place_of_their_variables(self):
    path = _write(
        self._path("model.ckpt"),
        {
            _KERNEL: [[3.0, 4.0]],
            f"{_KERNEL}/ExponentialMovingAverage": [[5.0, 6.0]],
            "global_step": 7,
        },
    )
    checkpoints.restore(self.variables, path)
    self.assertAllEqual([[3.0, 4.0]], self.variables[_KERNEL])
    checkpoints.restore(self.variables, path, averaged=True)
    self.assertAllEqual([[5.0, 6.0]], self.variables[_KERNEL])
    self.assertEqual(7, self.variables["global_step"].numpy())

  def test_no_averages(self):
    path = self._save()
    with self.assertRaisesRegex(ValueError, "has no averages .*use_ema=false"):
      checkpoints.restore(self.variables, path, averaged=True)

  def test_other_shape(self):
    path = _write(self._path("model.ckpt"), {_KERNEL: [1.0], "global_step": 5})
    with self.assertRaisesRegex(ValueError, r"shape \[1\], .* needs \[1, 2\]"):
      checkpoints.restore(self.variables, path)

  def test_checkpoint_that_disappeared(self):
    with self.assertRaisesRegex(FileNotFoundError, "model.ckpt-9"):
      checkpoints.restore(self.variables, self._path("model.ckpt-9"))

  @parameterized.parameters(
      (".index", "model.ckpt-1.index is not a file of a checkpoint"),
      (".data-00000-of-00001", "model.ckpt-1 can't be read"),
  )
  def test_damaged_file(self, suffix, message):
    path = self._save()
    with open(path + suffix, "r+b") as file:
      file.truncate(5)
    with self.assertRaisesRegex(ValueError, message):
      checkpoints.restore(self.variables, path)


_VALUES = {
    "logits/biases": np.array([1.5, -2.0], np.float32),
    "global_step": np.int64(7),
}


def _write_of_version(folder, version):
  return old_checkpoints.write(folder, _VALUES, version=version, step=7)


class CheckpointReaderTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path

  @parameterized.parameters(1, 2)
  def test_both_formats(self, version):
    path = _write_of_version(self.dir, version)
    reader = checkpoints.Reader(path)
    self.assertEqual(path, reader.checkpoint)
    expected = {"logits/biases": [2], "global_step": []}
    self.assertEqual(expected, reader.shapes)
    self.assertEqual(expected, checkpoints.shapes(path))
    self.assertAllEqual([1.5, -2], reader.value("logits/biases"))
    self.assertEqual(np.int64, reader.value("global_step").dtype)
    checkpoints.check(path)

  def test_read_by_other_names(self):
    values = checkpoints.read(
        _write_of_version(self.dir, 2), {"step": "global_step"}
    )
    self.assertEqual({"step": 7}, values)

  @parameterized.parameters(
      checkpoints.Reader,
      checkpoints.shapes,
      checkpoints.check,
      lambda path: checkpoints.read(path, {}),
  )
  def test_missing_checkpoint(self, function):
    path = os.path.join(self.dir, "model.ckpt-7")
    with self.assertRaisesWithLiteralMatch(
        FileNotFoundError, f"No checkpoint found at: {path}"
    ):
      function(path)

  def test_missing_data_file(self):
    path = _write_of_version(self.dir, 2)
    reader = checkpoints.Reader(path)
    os.remove(path + ".data-00000-of-00001")
    with self.assertRaisesRegex(
        FileNotFoundError, "incomplete: .*data-00000-of-00001 missing"
    ):
      reader.value("global_step")

  @parameterized.parameters((1, ""), (2, ".index"))
  def test_file_cut_short(self, version, suffix):
    path = _write_of_version(self.dir, version)
    os.truncate(path + suffix, 20)
    with self.assertRaisesRegex(ValueError, f"^{path}{suffix} is .*cut short"):
      checkpoints.Reader(path)

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
    path = _write_of_version(self.dir, version)
    with open(path + suffix, "w", encoding="utf-8") as damaged:
      damaged.write(text)
    with self.assertRaisesRegex(ValueError, f"^{path}{suffix} is {what}"):
      checkpoints.check(path)

  def test_a_flipped_bit_is_found_by_reading(self):
    path = _write_of_version(self.dir, 2)
    with open(path + ".data-00000-of-00001", "r+b") as file:
      first = file.read(1)[0]
      file.seek(0)
      file.write(bytes([first ^ 1]))
    checkpoints.Reader(path)
    with self.assertRaisesRegex(ValueError, f"^The checkpoint {path} can't be"):
      checkpoints.check(path)

  @parameterized.parameters(
      ("inception.h5", " is a file of Keras, .*--inception_checkpoint_file"),
      ("inception.keras", " is a file of Keras, "),
      (
          "frozen.pb",
          " is a graph, not a checkpoint. .*run_inference can use it",
      ),
      ("model.ckpt", "model.ckpt is not a file of a checkpoint"),
  )
  def test_another_file(self, name, message):
    path = self.create_tempfile(name, "something else").full_path
    with self.assertRaisesRegex(ValueError, message):
      checkpoints.shapes(path)


class SaverTest(_TestCase):

  def _state(self):
    with open(self._path("checkpoint"), encoding="utf-8") as file:
      return file.read()

  def _saver(self, max_to_keep=2):
    return checkpoints.Saver(self.variables, self.dir, max_to_keep=max_to_keep)

  def test_files_and_contents(self):
    path = self._saver().save(3)
    self.assertEqual(self._path("model.ckpt-3"), path)
    self.assertCountEqual(
        [
            "checkpoint",
            "model.ckpt-3.index",
            "model.ckpt-3.data-00000-of-00001",
        ],
        os.listdir(self.dir),
    )
    reader = tf.train.load_checkpoint(path)
    self.assertEqual(
        {_KERNEL: tf.float32, "global_step": tf.int32},
        reader.get_variable_to_dtype_map(),
    )
    self.assertAllEqual([[1.0, 2.0]], reader.get_tensor(_KERNEL))

  def test_the_folder_may_be_copied_for_the_originals_code(self):
    self._saver().save(3)
    self.assertIn('model_checkpoint_path: "model.ckpt-3"', self._state())

  def test_keeps_the_newest_across_runs(self):
    self._saver().save(1)
    saver = self._saver()
    saver.save(2)
    saver.save(3)
    names = [n for n in os.listdir(self.dir) if n.endswith(".index")]
    self.assertCountEqual(["model.ckpt-2.index", "model.ckpt-3.index"], names)

  @parameterized.parameters("{original}", r"C:\\runs", "../original")
  def test_a_copy_leaves_the_original_alone(self, folder):
    original = self.create_tempdir("original").full_path
    first = checkpoints.Saver(self.variables, original, max_to_keep=2)
    for step in (1, 2):
      first.save(step)
    copy = self.create_tempdir("copy").full_path
    named = [
        folder.format(original=original) + f"/model.ckpt-{i}" for i in (1, 2)
    ]
    shutil.copytree(original, copy, dirs_exist_ok=True)
    with open(os.path.join(copy, "checkpoint"), "w", encoding="utf-8") as file:
      file.write(f'model_checkpoint_path: "{named[1]}"\n')
      file.writelines(f'all_model_checkpoint_paths: "{n}"\n' for n in named)
    before = sorted(os.listdir(original))
    saver = checkpoints.Saver(self.variables, copy, max_to_keep=2)
    saver.save(3)
    self.assertEqual(before, sorted(os.listdir(original)))
    self.assertEqual(
        ["model.ckpt-2.index", "model.ckpt-3.index"],
        [n for n in sorted(os.listdir(copy)) if n.endswith(".index")],
    )

  @parameterized.parameters(
      "checkpoint.tmp0123abcd",
      "model.ckpt-7.data-00000-of-00001",
      "model.ckpt-7.data-00000-of-00001.tempstate123",
      "model.ckpt-7.index.tempstate123",
  )
  def test_removes_what_a_killed_run_left(self, name):
    self._saver().save(3)
    whole = os.listdir(self.dir)
    tf.io.gfile.GFile(self._path(name), "w").close()
    self._saver()
    self.assertCountEqual(whole, os.listdir(self.dir))

  def test_says_what_it_can_not_write(self):
    saver = self._saver()
    saver.save(3)
    os.mkdir(self._path("model.ckpt-4.index"))
    with self.assertRaisesRegex(
        OSError, r"^The checkpoint .*model.ckpt-4 can't be written: Is a dir"
    ):
      saver.save(4)
    self.assertIn('model_checkpoint_path: "model.ckpt-3"', self._state())

  def test_passes_on_no_advice(self):
    level = tf.get_logger().level
    with self.assertNoLogs("tensorflow"):
      self._saver()
    self.assertEqual(level, tf.get_logger().level)


def _empty(path):
  os.truncate(path, 0)


def _cut_short(path):
  os.truncate(path, os.path.getsize(path) - 1)


def _zeros(path):
  with open(path, "r+b") as file:
    file.write(bytes(os.path.getsize(path)))


_DATA = ".data-00000-of-00001"


class ReadableCheckpointTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    saver = checkpoints.Saver(
        {"weights": tf.Variable([1.0, 2.0])}, self.dir, max_to_keep=3
    )
    self.paths = [saver.save(step) for step in (1, 2, 3)]

  def test_the_newest_if_all_are_whole(self):
    with self.assertNoLogs("absl", "WARNING"):
      self.assertEqual(self.paths[2], checkpoints.find_readable(self.dir))

  @parameterized.product(
      damage=(_empty, _cut_short, _zeros, os.remove), suffix=(".index", _DATA)
  )
  def test_passes_over_a_damaged_one(self, damage, suffix):
    damage(self.paths[2] + suffix)
    self.assertEqual(self.paths[1], checkpoints.find_readable(self.dir))

  def test_says_what_it_passes_over(self):
    _zeros(self.paths[2] + _DATA)
    with self.assertLogs("absl", "WARNING") as logs:
      checkpoints.find_readable(self.dir)
    self.assertLen(logs.output, 1)
    self.assertRegex(logs.output[0], "damaged .*model.ckpt-3 can't be read: ")

  @parameterized.parameters(_empty, _cut_short, _zeros, os.remove)
  def test_does_without_the_list(self, damage):
    damage(os.path.join(self.dir, "checkpoint"))
    _zeros(self.paths[2] + ".index")
    self.assertEqual(self.paths[1], checkpoints.find_readable(self.dir))

  def test_does_not_start_anew_when_all_are_damaged(self):
    for path in self.paths:
      _zeros(path + _DATA)
    with self.assertRaisesRegex(
        ValueError, f"^All checkpoints in {self.dir} are damaged, such as .*-3"
    ):
      checkpoints.find_readable(self.dir)

  def test_none(self):
    self.assertIsNone(
        checkpoints.find_readable(self.create_tempdir().full_path)
    )


if __name__ == "__main__":
  tf.test.main()
