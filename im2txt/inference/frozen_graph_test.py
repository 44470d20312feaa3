"""Tests of frozen_graph, with a client written for the original's graph."""

import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt import captioning
from im2txt.inference import frozen_graph
from im2txt.inference_utils import caption_generator
from im2txt.inference_utils import vocabulary
from im2txt.testing import original_graph
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning

v1 = tf.compat.v1


def _read_file():
  return tf.io.read_file("/etc/hostname")


def _write_file():
  return tf.raw_ops.WriteFile(filename="/tmp/x", contents="x")


def _python():
  return tf.numpy_function(lambda: 1.0, [], tf.float32)


def _list_files():
  return tf.io.matching_files("/*")


def _print_to_a_file():
  return tf.print("x", output_stream="file:///tmp/x")


def _restore():
  return tf.raw_ops.RestoreV2(
      prefix="x", tensor_names=["y"], shape_and_slices=[""], dtypes=[tf.float32]
  )


def _mapped_memory():
  return tf.raw_ops.ImmutableConst(
      dtype=tf.float32, shape=[1], memory_region_name="/etc/hostname"
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
            original_graph.caption_words(self.vocab, expected),
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
    with self.assertRaisesRegex(ValueError, "of an exported model are fixed"):
      captioning.Captioner.load("/no/model.pb", self.vocab, "vocab_size=3")

  def test_vocabulary_must_fit(self):
    path = original_graph.write(self.folder).frozen_graph
    vocab_file = self.create_tempfile(
        "words.txt", "<S>\n</S>\n" + "\n".join(f"w{i}" for i in range(12))
    )
    with self.assertRaisesRegex(ValueError, "15 words.*vocab_size=12"):
      captioning.Captioner.load(path, vocab_file.full_path)


class GraphSafetyTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(
      _read_file,
      _write_file,
      _python,
      _list_files,
      _print_to_a_file,
      _restore,
      _mapped_memory,
  )
  def test_refuses(self, make):
    with tf.Graph().as_default() as graph:
      make()
    with self.assertRaisesRegex(
        ValueError, r"^It has the operation \w+, called \w+, which may read"
    ):
      frozen_graph.check_safe(graph.as_graph_def())

  @parameterized.parameters(
      "Abort",
      "RemoteCall",
      "EagerPyFunc",
      "_Send",
      "SaveV2",
      "TFRecordReaderV2",
  )
  def test_refuses_by_name(self, op):
    with self.assertRaisesRegex(ValueError, f"the operation {op}, called x"):
      frozen_graph.check_safe(v1.GraphDef(node=[v1.NodeDef(name="x", op=op)]))

  def test_looks_into_functions(self):
    with tf.Graph().as_default() as graph:
      tf.cond(
          v1.placeholder(tf.bool, []), _read_file, lambda: tf.constant("none")
      )
    graph_def = graph.as_graph_def()
    self.assertNotIn("ReadFile", {node.op for node in graph_def.node})
    with self.assertRaisesRegex(ValueError, "ReadFile"):
      frozen_graph.check_safe(graph_def)

  def test_accepts_what_models_compute(self):
    with tf.Graph().as_default() as graph:
      encoded = v1.placeholder(tf.string, [])
      image = tf.image.decode_image(encoded, expand_animations=False)
      image = tf.image.resize(tf.ensure_shape(image, [None, None, 3]), [8, 8])
      image = tf.image.random_brightness(image, 0.1)
      sums = tf.while_loop(
          lambda i, _: i < 3, lambda i, x: (i + 1, tf.tanh(x)), (0, image)
      )[1]
      v1.Assert(tf.reduce_all(sums < 1), [sums])
      tf.nn.softmax(tf.einsum("hwc,cd->d", sums, tf.eye(3)))
    frozen_graph.check_safe(graph.as_graph_def())


if __name__ == "__main__":
  tf.test.main()
