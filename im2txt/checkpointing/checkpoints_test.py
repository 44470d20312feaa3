"""Tests of checkpoints."""

import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoint_saver
from im2txt.checkpointing import checkpoints

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


class CheckpointsTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.variables = {
        _KERNEL: tf.Variable([[1.0, 2.0]]),
        "global_step": tf.Variable(3, dtype=tf.int32),
    }

  def _path(self, name):
    return os.path.join(self.dir, name)

  def _save(self):
    saver = checkpoint_saver.Saver(self.variables, self.dir, max_to_keep=1)
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
    with self.assertRaisesRegex(ValueError, f"lacks 1 .*{_KERNEL}"):
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
      ("frozen.pb", "is a graph, .*run_inference takes it"),
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
    with self.assertRaisesRegex(ValueError, r"shape \[1\], .* it \[1, 2\]"):
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


if __name__ == "__main__":
  tf.test.main()
