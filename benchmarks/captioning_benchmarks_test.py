"""Tests that the benchmarks of captioning run: one round, a tiny model."""

import importlib.util
import os

from absl.testing import flagsaver
import numpy as np
import tensorflow as tf

from benchmarks import beam_search
from benchmarks import captioning
from benchmarks import encoder
from benchmarks import exported_models
from benchmarks import scaling_captioning
from benchmarks import start_up
from benchmarks import tiny_captioning_inputs


class CaptioningBenchmarksTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.inputs = tiny_captioning_inputs.make(tf.compat.v1.test.get_temp_dir())

  def test_beam_search(self):
    self.assertEqual(2, beam_search.make_plain(self.inputs, 3)())
    self.assertEqual(2, beam_search.make_in_graph(self.inputs, 3, 2)())

  def test_captioning(self):
    self.assertEqual(2, captioning.make_plain(self.inputs)())
    for variant in captioning.variants(self.inputs, 1)[1:]:
      self.assertEqual(2, variant.make_run()())

  def test_encoder(self):
    for variant in encoder.variants(self.inputs):
      self.assertEqual(2, variant.make_run()())

  def test_exported_models(self):
    exported = exported_models.export(
        self.inputs, self.create_tempdir().full_path
    )
    made = exported_models.makers(self.inputs, exported)
    for make in made.values():
      self.assertEqual(2, exported_models.make_counted(make)())
    rows = exported_models.agreement(made, exported)
    # Without quantization, captions are the same.
    self.assertRegex(rows[0], r"^\| saved_model \| \d+ \| 100% \| 100% \|$")
    self.assertRegex(rows[1], r"^\| tflite, none \| \d+ \| 100% \| 100% \|$")
    self.assertLen(rows, 4)

  def test_onnx_encoder(self):
    if not importlib.util.find_spec("onnx"):
      self.skipTest("There is no onnx.")
    from onnx import reference

    from benchmarks import onnx_encoder
    from im2txt import captioning

    model = captioning.Captioner.load(
        self.inputs.checkpoint, self.inputs.vocab_file
    ).model
    images = np.random.default_rng(1).uniform(-1, 1, [2, 75, 75, 3])
    images = images.astype(np.float32)
    (features,) = reference.ReferenceEvaluator(
        onnx_encoder.convert(model.encoder)
    ).run(None, {onnx_encoder.INPUT: images.transpose([0, 3, 1, 2])})
    self.assertAllClose(model.encoder(images), features, rtol=1e-3)

  def test_scaling(self):
    path = os.path.join(self.create_tempdir().full_path, "plot.png")
    with flagsaver.flagsaver(rounds=1):
      results = scaling_captioning.measure_settings(
          self.inputs, {"1": {"batch_size": 1}, "2": {"batch_size": 2}}
      )
    self.assertEqual(["1", "2"], [result.name for result in results])
    scaling_captioning.draw(path, {"batch size": ([1, 2], results)})
    self.assertGreater(os.path.getsize(path), 1000)

  def test_start_up_runs_programs(self):
    self.assertEqual(1, start_up.make_run("-c", "pass")())


if __name__ == "__main__":
  tf.test.main()
