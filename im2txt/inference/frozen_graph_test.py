"""Tests of frozen_graph, with a client written for the original's graph."""

import os

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import captioning
from im2txt.inference import frozen_graph
from im2txt.inference_utils import caption_generator
from im2txt.inference_utils import vocabulary
from im2txt.testing import original_graph
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning

v1 = tf.compat.v1


def _words(vocab, captions):
  """The words of `CaptionGenerator`'s captions."""
  return [
      tuple(
          vocab.id_to_word(i) for i in caption.sentence[1:] if i != vocab.end_id
      )
      for caption in captions
  ]


class ExportTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = v1.test.get_temp_dir()
    cls.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(folder))
    cls.model = tiny_captioning.make_model()
    cls.model.global_step.assign(2000000)
    cls.path = os.path.join(folder, "new", "model.pb")
    frozen_graph.write(frozen_graph.build(cls.model), cls.path)
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
    # Attributes that came after TensorFlow 1 are left out where they may be.
    nodes = original_graph.read(self.path).node
    attributes = {name for node in nodes for name in node.attr}
    self.assertNotIn("grad_a", attributes)

  def test_a_client_gets_the_models_numbers(self):
    client = original_graph.Client()
    encoded_image = tiny_captioning.jpeg(1)
    state = client.feed_image(self.sess, encoded_image)
    images = self.model.prepare_image(encoded_image)[tf.newaxis]
    # An untrained encoder's last bits are greatly enlarged.
    self.assertAllClose(state, self.model.image_states(images), atol=1e-4)
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
          _words(self.vocab, found), [caption.words for caption in captions]
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


class OriginalGraphTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(self.folder))
    self.images = [tiny_captioning.jpeg(seed) for seed in range(4)]

  @parameterized.parameters(False, True)
  def test_captions_are_the_graphs(self, use_resource):
    files = original_graph.write(self.folder, use_resource=use_resource)
    captioner = captioning.Captioner.load(files.frozen_graph, self.vocab)
    generator = caption_generator.CaptionGenerator(
        original_graph.Client(), self.vocab
    )
    restored = captioning.Captioner(
        frozen_graph.FrozenGraph.load(files.graph, files.checkpoint), self.vocab
    )
    found = captioner.caption(self.images)
    with original_graph.session(files.frozen_graph) as sess:
      for image, captions in zip(self.images, found, strict=True):
        expected = generator.beam_search(sess, image)
        self.assertEqual(
            [caption.words for caption in captions],
            _words(self.vocab, expected),
        )
        self.assertAllClose(
            [caption.log_probability for caption in captions],
            [caption.logprob for caption in expected],
        )
    self.assertGreater(len({captions[0].words for captions in found}), 1)
    self.assertEqual(found, restored.caption(self.images))

  def test_a_graph_with_variables_needs_their_values(self):
    files = original_graph.write(self.folder)
    with self.assertRaisesRegex(
        ValueError, r"not frozen: it has 6 variables, such as image_embedding"
    ):
      frozen_graph.FrozenGraph.load(files.graph)
    with self.assertRaisesRegex(FileNotFoundError, "No checkpoint found"):
      frozen_graph.FrozenGraph.load(files.graph, files.checkpoint + "0")

  @parameterized.named_parameters(
      ("page", b"<html>Sign in</html>", "frozen graph: it is a web page"),
      ("text", b"Not a graph.", "is not a frozen graph: it is damaged"),
      (
          "empty",
          b"",
          "not a frozen graph of an im2txt model: it has no image_feed",
      ),
      ("cut_short", None, "is not a frozen graph: it is damaged"),
  )
  def test_no_such_graph(self, content, message):
    if content is None:
      files = original_graph.write(self.folder)
      with open(files.frozen_graph, "rb") as file:
        content = file.read()[:-20]
    path = self.create_tempfile("x.pb", content).full_path
    with self.assertRaisesRegex(ValueError, message):
      captioning.Captioner.load(path, self.vocab)

  def test_tensors_of_other_types(self):
    path = original_graph.write(self.folder).frozen_graph
    graph_def = original_graph.read(path)
    for node in graph_def.node:
      if node.op == "Softmax":
        node.op = "ArgMax"
        node.input.append("lstm/concat/axis")
        node.attr["Tidx"].type = tf.int32.as_datatype_enum
    with self.assertRaisesRegex(
        ValueError, r"softmax:0 is int64 \(None,\), but .* float32 \(None, None"
    ):
      frozen_graph.FrozenGraph(graph_def)

  def test_unknown_operation(self):
    path = original_graph.write(self.folder).frozen_graph
    graph_def = original_graph.read(path)
    for node in graph_def.node:
      if node.name == "softmax":
        node.op = "HardestMax"
    path = self.create_tempfile("x.pb", graph_def.SerializeToString()).full_path
    with self.assertRaisesRegex(ValueError, "x.pb can't be used: .*HardestMax"):
      frozen_graph.FrozenGraph.load(path)

  def test_a_graph_that_writes_files_does_not(self):
    path = original_graph.write(self.folder).frozen_graph
    graph_def = original_graph.read(path)
    written = os.path.join(self.folder, "written")
    with tf.Graph().as_default() as graph:
      contents = tf.constant("x", name="harmful/contents")
      tf.raw_ops.WriteFile(
          filename=tf.constant(written), contents=contents, name="harmful/write"
      )
    graph_def.node.extend(graph.as_graph_def().node)
    for node in graph_def.node:
      if node.name == "softmax":
        node.input.append("^harmful/write")
    path = self.create_tempfile("x.pb", graph_def.SerializeToString()).full_path
    with self.assertRaisesRegex(
        ValueError,
        "x.pb can't be used: It has the operation WriteFile, called harmful/",
    ):
      captioning.Captioner.load(path, self.vocab)
    self.assertFalse(os.path.exists(written))

  def test_missing_file_and_overrides(self):
    with self.assertRaisesRegex(FileNotFoundError, "No frozen graph found at"):
      captioning.Captioner.load("/no/model.pb", self.vocab)
    with self.assertRaisesRegex(ValueError, "can't be configured any more"):
      captioning.Captioner.load("/no/model.pb", self.vocab, "vocab_size=3")

  def test_vocabulary_must_fit(self):
    path = original_graph.write(self.folder).frozen_graph
    vocab_file = self.create_tempfile(
        "words.txt", "<S>\n</S>\n" + "\n".join(f"w{i}" for i in range(12))
    )
    with self.assertRaisesRegex(ValueError, "15 words.*vocab_size=12"):
      captioning.Captioner.load(path, vocab_file.full_path)


if __name__ == "__main__":
  tf.test.main()
