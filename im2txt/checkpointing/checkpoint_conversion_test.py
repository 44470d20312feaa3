"""Tests of rewriting old checkpoints so that all code can read them."""

import dataclasses
import os

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import show_and_tell_model
from im2txt.checkpointing import checkpoint_conversion
from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import saved_config
from im2txt.inference import model_loader
from im2txt.inference_utils import vocabulary
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
    checkpoints.Saver(variables, self.old, max_to_keep=1).save(7)
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
      ("lstm/", "is missing 2 variables of the model, such as lstm/basic"),
      ("InceptionV3/Mixed_7c/", "has 340 of the 376 variables"),
      (("lstm/", "seq", "image", "logits"), "holds an Inception v3 alone"),
  )
  def test_refuses_parts_of_a_model(self, prefix, message):
    values = {n: v for n, v in self.values.items() if not n.startswith(prefix)}
    old_checkpoints.write(self.old, values, version=2)
    with self.assertRaisesRegex(ValueError, message):
      checkpoint_conversion.convert(self.old, self.new)
    self.assertFalse(os.path.exists(self.new))


_EMBEDDING, _WEIGHTS = "seq_embedding/map", "logits/weights"
_BIASES = "logits/biases"
_OLD_WORDS = ["a", "<S>", "</S>"]


class VocabularyExtensionTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.values = old_checkpoints.tiny_values()
    self.folder = self.create_tempdir().full_path
    self.new = os.path.join(self.folder, "new")

  def _write(self, name, text):
    path = os.path.join(self.folder, name)
    with open(path, "w", encoding="utf-8") as file:
      file.write(text)
    return path

  def _extend(self, new_words, size=6, old_words=_OLD_WORDS, change=None):
    """Extends a model of `size` words by words; returns that and its values."""
    values = {name: np.array(value) for name, value in self.values.items()}
    values[_EMBEDDING] = values[_EMBEDDING][:size]
    values[_WEIGHTS] = values[_WEIGHTS][:, :size]
    values[_BIASES] = np.arange(1, size + 1, dtype=np.float32)
    self.old = (change or dict)(values)
    old_checkpoints.write(self.folder, self.old, version=2, step=7)
    done = checkpoint_conversion.extend(
        self.folder,
        self._write("old.txt", "".join(f"{w} 9\n" for w in old_words)),
        self._write("new.txt", "\n".join(new_words)),
        self.new,
    )
    reader = tf.train.load_checkpoint(done.checkpoint)
    return done, reader.get_tensor

  def _assert_rows(self, value, sources):
    """Asserts that each word's values are those of an old id, if not None."""
    for name, axis in ((_EMBEDDING, 0), (_WEIGHTS, 1), (_BIASES, 0)):
      new, old = value(name), self.old[name]
      self.assertEqual(new.shape[axis], len(sources))
      for i, source in enumerate(sources):
        if source is not None:
          self.assertAllEqual(
              np.take(new, i, axis), np.take(old, source, axis), msg=name
          )

  @parameterized.named_parameters(
      # 3 words, <UNK> and two unused ids.
      ("in_unused_ids", 6, ["b"], [0, 1, 2, None, 3, 5]),
      ("in_all_unused_ids", 6, ["b", "c"], [0, 1, 2, None, None, 3]),
      ("beyond", 6, ["b", "c", "d", "e"], [0, 1, 2, *[None] * 4, 3]),
      ("none_unused", 4, ["b"], [0, 1, 2, None, 3]),
  )
  def test_old_ids_stay_and_unknown_moves(self, size, words, sources):
    done, value = self._extend(words, size)
    self._assert_rows(value, sources)
    self.assertEqual(
        (done.old_size, done.new_size, done.new_words),
        (size, len(sources), words),
    )
    config, _ = saved_config.load(self.new)
    self.assertEqual(config.vocab_size, len(sources))
    self.assertEqual(value("global_step"), 7)
    vocab = vocabulary.Vocabulary(done.vocab_file)
    self.assertEqual(vocab.reverse_vocab, [*_OLD_WORDS, *words, "<UNK>"])

  def test_unknown_in_the_file_stays(self):
    old_words = ["a", "<UNK>", "<S>", "</S>"]
    done, value = self._extend(["b", "<UNK>", "a", "c"], 6, old_words)
    self._assert_rows(value, [0, 1, 2, 3, None, None])
    self.assertEqual(done.new_words, ["b", "c"])
    with open(done.vocab_file, encoding="utf-8") as file:
      self.assertEqual(file.read(), "a 9\n<UNK> 9\n<S> 9\n</S> 9\nb\nc")

  def test_new_words_start_as_the_average(self):
    _, value = self._extend(["b 4", "c 3"])
    np.testing.assert_allclose(
        value(_BIASES)[3:5], np.mean([1, 2, 3]) - np.log(2), rtol=1e-6
    )
    mean = np.mean(self.old[_WEIGHTS][:, :3], axis=1)
    for i in (3, 4):
      np.testing.assert_allclose(value(_WEIGHTS)[:, i], mean, rtol=1e-5)
    known = self.old[_EMBEDDING][:3]
    noise = value(_EMBEDDING)[3:5] - known.mean(axis=0)
    self.assertNotAllClose(noise[0], noise[1], atol=1e-6)
    self.assertAllInRange(np.abs(noise), 0, 0.05 * known.std())

  def test_what_is_known_has_the_same_logits(self):
    done, _ = self._extend(["b"])
    logits = []
    for folder, size in ((self.folder, 6), (self.new, done.new_size)):
      config = configuration.apply_overrides(
          tiny.CONFIG, configuration.TrainingConfig(), f"vocab_size={size}"
      )[0]
      model = show_and_tell_model.ShowAndTellModel(config, "inference")
      checkpoints.restore(
          model.checkpoint_variables(), checkpoint_paths.find(folder)
      )
      features = tf.random.stateless_uniform((2, tiny.FEATURE_SIZE), (1, 2))
      state = model.decoder.initial_state(features)
      unknown = vocabulary.Vocabulary(
          os.path.join(self.folder, "old.txt")
          if folder == self.folder
          else done.vocab_file
      ).unk_id
      for word_id in (1, 0, unknown):
        probabilities, state = model.decode_step(
            tf.constant([word_id, word_id]), state
        )
      logits.append(np.log(probabilities.numpy()[:, [0, 1, 2, unknown]]))
    # Softmax takes the same from all of them.
    np.testing.assert_allclose(
        logits[0] - logits[0][:, :1], logits[1] - logits[1][:, :1], atol=1e-5
    )

  @parameterized.parameters(
      ("OptimizeLoss/", ""), ("self_critical/", "self_critical/")
  )
  def test_slots_grow(self, stored_scope, scope):
    def with_slots(values):
      values = old_checkpoints.with_extras(values)
      return {
          name.replace("OptimizeLoss/", stored_scope): value
          for name, value in values.items()
      }

    _, value = self._extend(["b"], 4, change=with_slots)
    self.assertAllEqual(value(f"{scope}{_BIASES}/Adam_1"), [2, 2, 2, 0, 2])
    self.assertAllEqual(value(f"{scope}{_WEIGHTS}/Adam")[0], [1, 1, 1, 0, 1])
    self.assertAllEqual(
        value(f"{scope}{_EMBEDDING}/Adam")[:, 0], [1, 1, 1, 0, 1]
    )
    self.assertAllClose(value(f"{scope}beta1_power"), 0.81)

  def test_averages_grow_like_the_weights(self):
    suffix = "/ExponentialMovingAverage"
    names = (_EMBEDDING, _WEIGHTS, _BIASES)
    config = dataclasses.replace(tiny.CONFIG, vocab_size=4, use_ema=True)
    saved_config.save(
        self.folder, config, configuration.TrainingConfig(ema_decay=0.9)
    )

    def with_averages(values):
      return values | {name + suffix: values[name] for name in names}

    done, value = self._extend(["b", "c"], 4, change=with_averages)
    for name in names:
      self.assertAllEqual(value(name), value(name + suffix))
    # With use_ema, a model without them can't be loaded.
    vocab = vocabulary.Vocabulary(done.vocab_file)
    model_loader.load([done.checkpoint], vocab)

  def test_refuses(self):
    with self.assertRaisesRegex(
        ValueError, "All words of .*new.txt are in .*old"
    ):
      self._extend(["a", "<UNK>"])
    with self.assertRaisesRegex(ValueError, "has 7 words.*vocab_size=6"):
      self._extend(["x"], 6, [*_OLD_WORDS, "b", "c", "d"])
    self.assertFalse(os.path.exists(self.new))
    os.mkdir(self.new)
    self._write("new/word_counts.txt", "mine")
    with self.assertRaisesRegex(FileExistsError, "a word_counts.txt in .*new"):
      self._extend(["b"])
    self.assertEqual(os.listdir(self.new), ["word_counts.txt"])


if __name__ == "__main__":
  tf.test.main()
