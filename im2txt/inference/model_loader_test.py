"""Tests of model_loader."""

import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt.inference import ensemble
from im2txt.inference import frozen_graph
from im2txt.inference import inference_model
from im2txt.inference import model_loader
from im2txt.inference_utils import vocabulary
from im2txt.testing import original_graph
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning


class CaptionModelTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = tf.compat.v1.test.get_temp_dir()
    cls.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(cls.folder))
    os.makedirs(f"{cls.folder}/a,b")
    cls.path = tiny_captioning.save(
        tiny_captioning.make_model(), f"{cls.folder}/a,b"
    )
    cls.graph = original_graph.write(cls.folder).frozen_graph

  def test_finds_one_model(self):
    for path in (self.path, f"{self.folder}/a,b", f"{self.path}.index"):
      self.assertEqual(model_loader.resolve([path]), [self.path])
      self.assertEqual(model_loader.resolve(path), [self.path])
    self.assertEqual(model_loader.resolve(["x.pb"]), ["x.pb"])

  def test_finds_several(self):
    without_comma = f"{self.create_tempdir().full_path}/link"
    os.symlink(f"{self.folder}/a,b", without_comma)
    name = os.path.basename(self.path)
    self.assertEqual(
        model_loader.resolve(f"{without_comma}, {without_comma}/{name},x.pb,"),
        [f"{without_comma}/{name}"] * 2 + ["x.pb"],
    )

  @parameterized.parameters("", ",", "/no/x", "/no/x,/no/y")
  def test_finds_none(self, paths):
    with self.assertRaisesRegex(FileNotFoundError, "No checkpoint found at"):
      model_loader.resolve(paths)

  def test_loads_a_checkpoint_or_several(self):
    alone = model_loader.load([self.path], self.vocab)
    self.assertIsInstance(alone, inference_model.InferenceModel)
    both = model_loader.load([self.path, f"{self.folder}/a,b"], self.vocab)
    self.assertIsInstance(both, ensemble.Ensemble)
    self.assertLen(both.members, 2)

  def test_loads_a_frozen_graph(self):
    model = model_loader.load([self.graph], self.vocab)
    self.assertIsInstance(model, frozen_graph.FrozenGraph)

  def test_a_frozen_graph_is_no_member(self):
    with self.assertRaisesRegex(ValueError, "but .*pb is an exported model"):
      model_loader.load([self.path, self.graph], self.vocab)

  def test_a_frozen_graph_takes_no_options(self):
    with self.assertRaisesRegex(ValueError, "of an exported model are fixed"):
      model_loader.load([self.graph], self.vocab, precision="bfloat16")

  def test_no_model(self):
    with self.assertRaisesRegex(ValueError, "Got none"):
      model_loader.load([], self.vocab)

  def test_the_vocabulary_must_fit_each(self):
    with self.assertRaisesRegex(ValueError, "11 words.*vocab_size=10"):
      model_loader.load([self.path] * 2, self.vocab, "vocab_size=10")


if __name__ == "__main__":
  tf.test.main()
