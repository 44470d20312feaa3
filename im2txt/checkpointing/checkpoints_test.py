"""Tests of saving and restoring by name."""

import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_names
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


class CheckpointsTestCase(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.variables = {
        _KERNEL: tf.Variable([[1.0, 2.0]]),
        "global_step": tf.Variable(3, dtype=tf.int32),
    }

  def _path(self, name):
    return os.path.join(self.dir, name)

  def _saver(self, max_to_keep=2):
    return checkpoint_saver.Saver(
        self.variables, self.dir, max_to_keep=max_to_keep
    )


class FindTest(CheckpointsTestCase):

  def test_newest_of_a_folder(self):
    saver = self._saver()
    saver.save(1)
    saver.save(2)
    self.assertEqual(self._path("model.ckpt-2"), checkpoints.find(self.dir))

  @parameterized.parameters("", ".index", ".data-00000-of-00001")
  def test_prefix_or_one_of_the_files(self, suffix):
    path = self._saver().save(1)
    self.assertEqual(path, checkpoints.find(path + suffix))

  def test_all_of_several_patterns(self):
    saver = self._saver(max_to_keep=3)
    paths = [saver.save(step) for step in (9, 10, 100)]
    found = checkpoints.find_all(f"{paths[2]}, {self._path('model.ckpt-*')}")
    self.assertEqual(
        ["model.ckpt-100", "model.ckpt-9", "model.ckpt-10"], list(found)
    )
    self.assertEqual([paths[2], *paths[:2]], list(found.values()))

  def test_names_that_need_their_folders(self):
    path = self._saver().save(1)
    other = _write(self._path("other/model.ckpt-1"), {"global_step": 1})
    found = checkpoints.find_all(f"{self.dir},{other}")
    self.assertEqual({path: path, other: other}, found)

  @parameterized.parameters("model.ckpt-*", "", "model.ckpt-7")
  def test_pattern_without_checkpoints(self, name):
    with self.assertRaisesRegex(FileNotFoundError, "No checkpoint"):
      checkpoints.find_all(self._path(name))

  def test_moved_folder(self):
    self._saver().save(1)
    moved = self.dir + "_moved"
    os.rename(self.dir, moved)
    self.assertEqual(
        os.path.join(moved, "model.ckpt-1"), checkpoints.find(moved)
    )

  def test_falls_back_to_an_older_one(self):
    saver = self._saver()
    saver.save(1)
    saver.save(2)
    os.remove(self._path("model.ckpt-2.index"))
    self.assertEqual(self._path("model.ckpt-1"), checkpoints.find(self.dir))

  def test_nothing_left(self):
    self._saver().save(1)
    os.remove(self._path("model.ckpt-1.index"))
    with self.assertRaisesRegex(FileNotFoundError, "names .*model.ckpt-1"):
      checkpoints.find(self.dir)

  def test_without_the_file_checkpoint(self):
    saver = self._saver()
    saver.save(9)
    saver.save(10)
    os.remove(self._path("checkpoint"))
    for name in ("model.ckpt-99.meta", "inception_v3.ckpt", "config.json"):
      open(self._path(name), "w").close()
    self.assertEqual(self._path("model.ckpt-10"), checkpoints.find(self.dir))
    open(self._path("model.ckpt-11"), "w").close()  # As of 2016: one file.
    self.assertEqual(self._path("model.ckpt-11"), checkpoints.find(self.dir))

  def test_empty_folder(self):
    self.assertIsNone(checkpoints.find_latest(self.dir))
    with self.assertRaisesRegex(FileNotFoundError, "in folder"):
      checkpoints.find(self.dir)

  def test_missing_path(self):
    self.assertIsNone(checkpoints.find_latest(self._path("missing")))
    with self.assertRaisesRegex(FileNotFoundError, "found at: .*model.ckpt-9"):
      checkpoints.find(self._path("model.ckpt-9"))


class RestoreTest(CheckpointsTestCase):

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
      checkpoints.restore(self.variables, checkpoints.find(path))

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
    path = self._saver().save(1)
    with self.assertRaisesRegex(ValueError, "has no averages .*use_ema=false"):
      checkpoints.restore(self.variables, path, averaged=True)

  def test_other_shape(self):
    path = _write(self._path("model.ckpt"), {_KERNEL: [1.0], "global_step": 5})
    with self.assertRaisesRegex(ValueError, r"shape \[1\], .* it \[1, 2\]"):
      checkpoints.restore(self.variables, path)

  def test_checkpoint_that_disappeared(self):
    with self.assertRaisesRegex(FileNotFoundError, "model.ckpt-9"):
      checkpoints.restore(self.variables, self._path("model.ckpt-9"))

  @parameterized.parameters(".index", ".data-00000-of-00001")
  def test_damaged_file(self, suffix):
    path = self._saver().save(1)
    with open(path + suffix, "r+b") as file:
      file.truncate(5)
    with self.assertRaisesRegex(ValueError, "model.ckpt-1 can't be read"):
      checkpoints.restore(self.variables, path)


class ConfigTest(CheckpointsTestCase):

  def test_round_trip_from_folder_and_checkpoint(self):
    configs = (
        configuration.ModelConfig(vocab_size=9),
        configuration.TrainingConfig(optimizer="adam"),
    )
    checkpoints.save_config(self.dir, *configs)
    self.assertEqual(configs, checkpoints.load_config(self.dir))
    self.assertEqual(
        configs, checkpoints.load_config(self._path("model.ckpt-1"))
    )

  def test_defaults_without_a_file(self):
    self.assertEqual(
        (configuration.ModelConfig(), configuration.TrainingConfig()),
        checkpoints.load_config(self.dir),
    )

  @parameterized.parameters(
      "lstm/basic_lstm_cell/kernel", "lstm/BasicLSTMCell/Linear/Matrix"
  )
  def test_sizes_by_shapes_without_a_file(self, kernel):
    path = _write(
        self._path("model.ckpt-3"),
        {"seq_embedding/map": tf.zeros([9, 5]), kernel: tf.zeros([12, 28])},
    )
    tf.compat.v1.train.update_checkpoint_state(self.dir, path)
    expected = configuration.ModelConfig(
        vocab_size=9, embedding_size=5, num_lstm_units=7
    )
    for each in (path, self.dir):
      self.assertEqual(expected, checkpoints.load_config(each)[0])

  def test_damaged_checkpoint_without_a_file(self):
    path = self.create_tempfile("model.ckpt", "damaged").full_path
    with self.assertRaisesRegex(ValueError, "model.ckpt can't be read"):
      checkpoints.load_config(path)

  def test_error_names_the_file(self):
    with open(self._path("config.json"), "w") as file:
      file.write("{")
    with self.assertRaisesRegex(ValueError, "config.json can't be used"):
      checkpoints.load_config(self.dir)


if __name__ == "__main__":
  tf.test.main()
