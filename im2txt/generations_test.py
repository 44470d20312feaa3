"""A checkpoint of each generation, captioned, evaluated and trained on as is.

Each is made as it was then, without a config.json beside it.
"""

import os
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import captioning
from im2txt import configuration
from im2txt import run_inference
from im2txt import show_and_tell_model
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import saved_config
from im2txt.data import feature_cache
from im2txt.evaluation import evaluation_loop
from im2txt.testing import made_up_features
from im2txt.testing import old_checkpoints
from im2txt.testing import programs
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning
from im2txt.training import training_loop

# What the shapes of a checkpoint don't say; the sizes are read from these.
_OVERRIDES = (
    "image_height=75,image_width=75,resize_height=80,resize_width=80,"
    "inception_depth_multiplier=0.05"
)
_STEP = 6000

# Of the images, by the model of `_golden_values`, as first computed.
_GOLDEN_CAPTIONS = (("sky .", -2.837), (".", -2.486), (".", -2.274))


def _golden_values(values):
  """The values of a model, but for numbers that no code of ours has made."""
  rng = np.random.RandomState(104)  # One that tells the images apart.
  golden = dict(values)
  for name in sorted(values):
    if "BatchNorm" not in name and name != "global_step":
      shape = values[name].shape
      size = 2.45 if name.startswith("InceptionV3/") else 5.0
      size /= np.prod(shape[:-1], dtype=int) ** 0.5
      golden[name] = (size * rng.uniform(-1, 1, shape)).astype(np.float32)
  return golden


class GenerationsTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    model = tiny_captioning.make_model()
    model.global_step.assign(_STEP)
    cls.values = {
        name: variable.numpy()
        for name, variable in model.checkpoint_variables().items()
    }
    folder = tf.compat.v1.test.get_temp_dir()
    cls.vocab_file = tiny.write_vocabulary(folder)
    cls.images = [tiny_captioning.jpeg(seed) for seed in range(3)]
    path = tiny_captioning.save(model, folder)
    captioner = captioning.Captioner.load(path, cls.vocab_file)
    cls.captions = captioner.caption(cls.images)

  def _write(self, generation, version, values=None):
    values = old_checkpoints.of_generation(values or self.values, generation)
    folder = self.create_tempdir().full_path
    return old_checkpoints.write(
        folder, old_checkpoints.with_extras(values), version=version, step=_STEP
    )

  @parameterized.parameters(("0.x", 1), ("1.0", 1), ("1.2", 2))
  def test_captions_are_identical(self, generation, version):
    path = self._write(generation, version)
    captioner = captioning.Captioner.load(path, self.vocab_file, _OVERRIDES)
    self.assertEqual(captioner.caption(self.images), self.captions)
    # So that there is something to compare.
    self.assertLen({each[0].sentence for each in self.captions}, 3)

  @parameterized.parameters(("0.x", 1), ("1.0", 1), ("1.2", 2))
  def test_golden_captions(self, generation, version):
    path = self._write(generation, version, _golden_values(self.values))
    captioner = captioning.Captioner.load(path, self.vocab_file, _OVERRIDES)
    found = [captions[0] for captions in captioner.caption(self.images)]
    for caption, (sentence, log_prob) in zip(
        found, _GOLDEN_CAPTIONS, strict=True
    ):
      self.assertEqual(caption.sentence, sentence)
      self.assertAllClose(caption.log_probability, log_prob, atol=2e-3)

  def test_run_inference_prints_them(self):
    path = self._write("0.x", 2)
    image = self.create_tempfile("x.jpg", self.images[1], mode="wb").full_path
    ran = programs.run_here(
        run_inference,
        checkpoint_path=os.path.dirname(path),
        vocab_file=self.vocab_file,
        input_files=image,
        config_overrides=_OVERRIDES,
    )
    self.assertEqual(ran.returncode, 0)
    printed = [
        f"  {i}) {caption.sentence} (p={caption.probability:f})"
        for i, caption in enumerate(self.captions[1])
    ]
    self.assertEqual(
        ran.stdout.splitlines(), ["Captions for image x.jpg:", *printed]
    )

  def test_inception_alone_can_not_caption(self):
    values = {
        name: value
        for name, value in self.values.items()
        if name.startswith("InceptionV3/")
    }
    path = old_checkpoints.write(
        self.create_tempdir().full_path, values, version=1
    )
    with self.assertRaisesRegex(ValueError, "holds an Inception v3 alone"):
      captioning.Captioner.load(path, self.vocab_file, _OVERRIDES)

  def test_evaluation_and_training_go_on(self):
    train_dir = os.path.dirname(self._write("0.x", version=1))
    config, training = configuration.apply_overrides(
        *saved_config.load(train_dir),
        f"{_OVERRIDES},optimizer=adam,batch_size=2,initial_learning_rate=0",
    )
    data = made_up_features.write(train_dir, 2, config=config)
    # Features made up for the tests come from no encoder.
    self.enter_context(mock.patch.object(feature_cache, "check_encoder"))
    evaluation = evaluation_loop.EvaluationLoop(
        model=show_and_tell_model.ShowAndTellModel(config, "eval"),
        data=data,
        checkpoint_dir=train_dir,
        eval_dir=os.path.join(train_dir, "eval"),
        max_examples=2,
        min_global_step=_STEP,
    )
    perplexity = evaluation.run_once().perplexity
    loop = training_loop.TrainingLoop(
        model_config=config,
        training_config=training,
        train_dir=train_dir,
        checkpoint=checkpoints.find_readable(train_dir),
    )
    variables = loop.trainer.checkpoint_variables()
    for name, value in self.values.items():
      self.assertAllEqual(value, variables[name], msg=name)
    for name in ("lstm/basic_lstm_cell/kernel", "logits/biases"):
      self.assertAllEqual(
          tf.ones_like(variables[name]), variables[f"{name}/Adam"]
      )
    self.assertAllClose(0.81, variables["beta1_power"])
    # The rate is 0, so what is written, with today's names, is the same model.
    loop.run(data, number_of_steps=_STEP + 1)
    reader = tf.train.load_checkpoint(checkpoint_paths.find(train_dir))
    self.assertEqual(reader.get_tensor("global_step"), _STEP + 1)
    self.assertAllEqual(
        reader.get_tensor("lstm/basic_lstm_cell/kernel"),
        self.values["lstm/basic_lstm_cell/kernel"],
    )
    self.assertNear(
        evaluation.run_once().perplexity, perplexity, 1e-5 * perplexity
    )


if __name__ == "__main__":
  tf.test.main()
