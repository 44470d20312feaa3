"""Tests of writing checkpoints."""

import os
import shutil

from absl.testing import parameterized
import tensorflow as tf

from im2txt.checkpointing import checkpoint_saver

_KERNEL = "lstm/basic_lstm_cell/kernel"


class SaverTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.variables = {
        _KERNEL: tf.Variable([[1.0, 2.0]]),
        "global_step": tf.Variable(3, dtype=tf.int32),
    }

  def _path(self, name):
    return os.path.join(self.dir, name)

  def _state(self):
    with open(self._path("checkpoint"), encoding="utf-8") as file:
      return file.read()

  def _saver(self, max_to_keep=2):
    return checkpoint_saver.Saver(
        self.variables, self.dir, max_to_keep=max_to_keep
    )

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
    first = checkpoint_saver.Saver(self.variables, original, max_to_keep=2)
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
    saver = checkpoint_saver.Saver(self.variables, copy, max_to_keep=2)
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


if __name__ == "__main__":
  tf.test.main()
