"""Tests of frozen_graph_export, with a client of the original's graph."""

import os

import numpy as np
import tensorflow as tf

from im2txt import captioning
from im2txt.export import frozen_graph_export
from im2txt.inference_utils import caption_generator
from im2txt.inference_utils import vocabulary
from im2txt.testing import original_graph
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning

v1 = tf.compat.v1


class FrozenGraphExportTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = v1.test.get_temp_dir()
    cls.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(folder))
    cls.model = tiny_captioning.make_model()
    cls.model.global_step.assign(2000000)
    cls.path = os.path.join(folder, "new", "model.pb")
    frozen_graph_export.write(frozen_graph_export.build(cls.model), cls.path)
    cls.sess = original_graph.session(cls.path)
    cls.addClassCleanup(cls.sess.close)

  def test_tensors_are_the_originals(self):
    found = {
        name: tf.TensorSpec.from_tensor(
            self.sess.graph.get_tensor_by_name(name), name
        )
        for name in (
            "image_feed:0",
            "input_feed:0",
            "lstm/state_feed:0",
            "lstm/initial_state:0",
            "lstm/state:0",
            "softmax:0",
            "embedding_size:0",
            "global_step:0",
        )
    }
    self.assertEqual(
        [(spec.dtype.name, spec.shape.as_list()) for spec in found.values()],
        [
            ("string", []),
            ("int64", [None]),
            ("float32", [None, 12]),
            ("float32", [1, 12]),
            ("float32", [None, 12]),
            ("float32", [None, 12]),
            ("int32", []),
            ("int32", []),
        ],
    )
    self.assertEqual(
        self.sess.run(["embedding_size:0", "global_step:0"]), [8, 2000000]
    )

  def test_weights_go_by_their_names(self):
    for name in ("logits/weights", "InceptionV3/Conv2d_1a_3x3/weights"):
      variable = self.model.checkpoint_variables()[name]
      self.assertAllEqual(self.sess.run(f"{name}:0"), variable)

  def test_all_is_in_one_graph_without_variables(self):
    graph_def = self.sess.graph.as_graph_def()
    self.assertEmpty(graph_def.library.function)
    ops = {node.op for node in graph_def.node}
    self.assertNoCommonElements(ops, {"VarHandleOp", "ReadVariableOp"})
    # Default attributes that are newer than TensorFlow 1 are left out.
    nodes = original_graph.read(self.path).node
    attributes = {name for node in nodes for name in node.attr}
    self.assertNotIn("grad_a", attributes)

  def test_a_client_gets_the_models_numbers(self):
    client = original_graph.Client()
    encoded_image = tiny_captioning.jpeg(1)
    state = client.feed_image(self.sess, encoded_image)
    images = self.model.preprocess_image(encoded_image)[tf.newaxis]
    # An untrained encoder amplifies rounding errors.
    self.assertAllClose(state, self.model.initial_states(images), atol=1e-4)
    input_feed = np.array([1, 5, 3])
    state_feed = np.repeat(state, 3, axis=0)
    found = client.inference_step(self.sess, input_feed, state_feed)
    expected = self.model.decode_step(
        tf.constant(input_feed), tf.constant(state_feed)
    )
    self.assertAllClose(found[0], expected[0])
    self.assertAllClose(found[1], expected[1])

  def test_a_client_finds_the_models_captions(self):
    generator = caption_generator.CaptionGenerator(
        original_graph.Client(), self.vocab
    )
    images = [tiny_captioning.jpeg(seed) for seed in range(6)]
    expected = captioning.Captioner(self.model, self.vocab).caption(images)
    for image, captions in zip(images, expected, strict=True):
      found = generator.beam_search(self.sess, image)
      self.assertEqual(
          original_graph.caption_words(self.vocab, found),
          [caption.words for caption in captions],
      )
      self.assertAllClose(
          [caption.logprob for caption in found],
          [caption.log_probability for caption in captions],
          atol=1e-4,
      )

  def test_captioner_loads_it(self):
    images = [tiny_captioning.jpeg(seed) for seed in range(5)]
    images[2:2] = [b"bad"]
    expected, found = (
        list(captioner.caption_each(images, batch_size=2, beam_size=2))
        for captioner in (
            captioning.Captioner(self.model, self.vocab),
            captioning.Captioner.load(self.path, self.vocab),
        )
    )
    self.assertIsInstance(found[2], captioning.ImageError)
    self.assertEqual(str(found.pop(2)), str(expected.pop(2)))
    for captions, others in zip(found, expected, strict=True):
      self.assertEqual(
          [caption.words for caption in captions],
          [caption.words for caption in others],
      )
      self.assertAllClose(
          [caption.word_probabilities for caption in captions[:1]],
          [caption.word_probabilities for caption in others[:1]],
          atol=1e-4,
      )


if __name__ == "__main__":
  tf.test.main()
