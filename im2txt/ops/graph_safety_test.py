"""Tests of graph_safety."""

from absl.testing import parameterized
import tensorflow as tf

from im2txt.ops import graph_safety

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
        ValueError, r"^It has the operation \w+, called \w+, which does more"
    ):
      graph_safety.check(graph.as_graph_def())

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
      graph_safety.check(v1.GraphDef(node=[v1.NodeDef(name="x", op=op)]))

  def test_looks_into_functions(self):
    with tf.Graph().as_default() as graph:
      tf.cond(
          v1.placeholder(tf.bool, []), _read_file, lambda: tf.constant("none")
      )
    graph_def = graph.as_graph_def()
    self.assertNotIn("ReadFile", {node.op for node in graph_def.node})
    with self.assertRaisesRegex(ValueError, "ReadFile"):
      graph_safety.check(graph_def)

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
    graph_safety.check(graph.as_graph_def())


if __name__ == "__main__":
  tf.test.main()
