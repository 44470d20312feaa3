"""Tests of rewriting old checkpoints so that all code can read them."""

import dataclasses
import os

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_conversion
from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoint_saver
from im2txt.checkpointing import saved_config
from im2txt.testing import old_checkpoints
from im2txt.testing import tiny

_KERNEL = "lstm/basic_lstm_cell/kernel"


class CheckpointConversionTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.values = old_checkpoints.tiny_values()
    self.old = self.create_tempdir().full_path
    self.new = os.path.join(self.create_tempdir().full_path, "made", "new")

  def _write(self, generation, version=1, **kwargs):
    values = old_checkpoints.of_generation(self.values, generation)
    values = old_checkpoints.with_extras(values)
    return old_checkpoints.write(self.old, values, version=version, **kwargs)

  def _assert_converted(self, checkpoint):
    reader = tf.train.load_checkpoint(checkpoint)
    self.assertCountEqual(self.values, reader.get_variable_to_shape_map())
    self.assertEqual(
        reader.get_variable_to_dtype_map()["global_step"], tf.int32
    )
    for name, value in self.values.items():
      self.assertAllEqual(value, reader.get_tensor(name), msg=name)

  @parameterized.product(
      generation=list(old_checkpoints.GENERATIONS), version=(1, 2)
  )
  def test_any_generation_in_either_format(self, generation, version):
    self._write(generation, version, step=7)
    done = checkpoint_conversion.convert(self.old, self.new)
    self.assertEqual(done.checkpoint, os.path.join(self.new, "model.ckpt-7"))
    self.assertCountEqual(
        os.listdir(self.new),
        [
            "checkpoint",
            "config.json",
            "model.ckpt-7.data-00000-of-00001",
            "model.ckpt-7.index",
        ],
    )
    self._assert_converted(checkpoint_paths.find(self.new))
    self.assertLen(done.kept, 383)
    names = old_checkpoints.GENERATIONS[generation]
    self.assertContainsSubset(
        [n for n in names if n not in self.values], [r[0] for r in done.renamed]
    )
    self.assertIn(f"{names[0]}/ExponentialMovingAverage", done.dropped)
    self.assertIn(f"OptimizeLoss/{names[0]}/Adam", done.dropped)

  def test_configuration_by_shapes_and_as_saved(self):
    self._write("0.x")
    done = checkpoint_conversion.convert(self.old, self.new)
    config, _ = saved_config.load(done.checkpoint)
    self.assertEqual(
        (config.vocab_size, config.embedding_size, config.num_lstm_units),
        (tiny.VOCAB_SIZE, 8, 6),
    )
    saved = tiny.CONFIG, configuration.TrainingConfig(optimizer="adam")
    saved_config.save(self.old, *saved)
    done = checkpoint_conversion.convert(self.old, self.new + "2")
    self.assertEqual(saved_config.load(done.checkpoint), saved)

  def test_keeps_slots(self):
    self._write("1.0")
    done = checkpoint_conversion.convert(self.old, self.new, keep_slots=True)
    reader = tf.train.load_checkpoint(done.checkpoint)
    self.assertAllEqual(
        reader.get_tensor(f"{_KERNEL}/Adam_1"), np.full([14, 24], 2.0)
    )
    self.assertAllClose(reader.get_tensor("beta1_power"), 0.81)
    self.assertLen(done.kept, 383 + 2 * 6 + 2)
    self.assertIn("OptimizeLoss/learning_rate", done.dropped)

  @parameterized.parameters(
      ({"use_ema": True}, {}, False, True),
      ({}, {"ema_decay": 0.9}, True, True),
      ({}, {"ema_decay": 0.9}, False, False),
  )
  def test_keeps_averages_that_the_configuration_uses(
      self, model, training, keep_slots, are_kept
  ):
    path = self._write("0.x", 2)
    saved_config.save(
        self.old,
        dataclasses.replace(tiny.CONFIG, **model),
        configuration.TrainingConfig(**training),
    )
    done = checkpoint_conversion.convert(path, self.new, keep_slots=keep_slots)
    for name in checkpoint_names.DECODER_NAMES:
      average = f"{name}/ExponentialMovingAverage"
      self.assertEqual(are_kept, average in done.kept, average)

  def test_to_a_path(self):
    path = self._write("0.x", 2)
    new = os.path.join(self.new, "im2txt.ckpt")
    self.assertEqual(checkpoint_conversion.convert(path, new).checkpoint, new)
    self._assert_converted(new)

  def test_without_a_global_step(self):
    values = {n: v for n, v in self.values.items() if n != "global_step"}
    old_checkpoints.write(self.old, values, version=2)
    done = checkpoint_conversion.convert(self.old, self.new)
    self.assertEqual(done.global_step, 0)
    self.assertLen(done.kept, 383)

  def test_the_originals_code_reads_it(self):
    self._write("0.x")
    checkpoint_conversion.convert(self.old, self.new)
    self._assert_read_by_the_original(self.new)

  def test_the_originals_code_reads_what_training_writes(self):
    variables = {n: tf.Variable(v) for n, v in self.values.items()}
    checkpoint_saver.Saver(variables, self.old, max_to_keep=1).save(7)
    moved = self.old + "_moved"
    os.rename(self.old, moved)
    self._assert_read_by_the_original(moved)

  def _assert_read_by_the_original(self, folder):
    """Restores as the original does: a graph, its variables, a Saver."""
    # All would take seconds.
    values = {n: v for n, v in self.values.items() if "/Mixed_" not in n}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
      variables = {
          name: tf.compat.v1.get_variable(
              name, np.shape(value), tf.as_dtype(np.asarray(value).dtype)
          )
          for name, value in values.items()
      }
      self.assertEqual(variables["global_step"].dtype.base_dtype, tf.int32)
      saver = tf.compat.v1.train.Saver()
      path = tf.compat.v1.train.latest_checkpoint(folder)
      self.assertEqual(path, os.path.join(folder, "model.ckpt-7"))
      saver.restore(session, path)
      for name, value in session.run(variables).items():
        self.assertAllEqual(values[name], value, msg=name)

  def test_refuses_a_folder_with_a_checkpoint(self):
    self._write("1.2")
    for new in (self.old, os.path.join(self.old, "other.ckpt")):
      with self.assertRaisesRegex(
          FileExistsError, "a checkpoint in .* already"
      ):
        checkpoint_conversion.convert(self.old, new)

  def test_refuses_to_replace_a_configuration(self):
    self._write("1.2")
    folder = self.create_tempdir()
    others = folder.create_file("config.json", "mine")
    with self.assertRaisesRegex(FileExistsError, "a config.json in .* already"):
      checkpoint_conversion.convert(
          self.old, os.path.join(folder.full_path, "im2txt.ckpt")
      )
    self.assertEqual(others.read_text(), "mine")
    self.assertEqual(os.listdir(folder.full_path), ["config.json"])

  @parameterized.parameters(
      ("lstm/", "lacks 2 variables of the model, such as lstm/basic"),
      ("InceptionV3/Mixed_7c/", "holds 340 of the 376 variables"),
      (("lstm/", "seq", "image", "logits"), "holds an Inception v3 alone"),
  )
  def test_refuses_parts_of_a_model(self, prefix, message):
    values = {n: v for n, v in self.values.items() if not n.startswith(prefix)}
    old_checkpoints.write(self.old, values, version=2)
    with self.assertRaisesRegex(ValueError, message):
      checkpoint_conversion.convert(self.old, self.new)
    self.assertFalse(os.path.exists(self.new))


if __name__ == "__main__":
  tf.test.main()
