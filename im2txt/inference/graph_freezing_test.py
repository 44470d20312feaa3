"""Tests of graph_freezing."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.inference import graph_freezing

v1 = tf.compat.v1


def _graph(use_resource):
  """A graph of y = map[x] + 1 and z = 2 * map, and of what neither needs."""
  with tf.Graph().as_default() as graph:
    x = v1.placeholder(tf.int64, [None], name="x")
    table = v1.get_variable(
        "scope/map", [3, 2], use_resource=use_resource, dtype=tf.float32
    )
    other = v1.get_variable("other", [], use_resource=use_resource)
    with tf.control_dependencies([tf.constant(0, name="before")]):
      rows = tf.nn.embedding_lookup(table, x)
    tf.add(rows, 1.0, name="y")
    tf.multiply(table, 2.0, name="z")
    tf.multiply(other, 2.0, name="not_needed")
  return graph.as_graph_def()


class GraphFreezingTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(False, True)
  def test_variables_become_constants(self, use_resource):
    table = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    frozen = graph_freezing.freeze(
        _graph(use_resource), ["y", "z"], {"scope/map": table}
    )
    names = {node.name for node in frozen.node}
    self.assertContainsSubset({"x", "scope/map", "before", "y", "z"}, names)
    self.assertNoCommonElements({"other", "not_needed"}, names)
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as sess:
      v1.import_graph_def(frozen, name="")
      y, z = sess.run(["y:0", "z:0"], {"x:0": [2, 0]})
    self.assertAllEqual(y, [[6, 7], [2, 3]])
    self.assertAllEqual(z, 2 * table)

  @parameterized.parameters(False, True)
  def test_names_the_variables_that_are_needed(self, use_resource):
    graph_def = _graph(use_resource)
    found = graph_freezing.variables(graph_def, ["y"])
    self.assertEqual(
        found, {"scope/map": tf.TensorSpec([3, 2], tf.float32, "scope/map")}
    )
    self.assertLen(graph_freezing.variables(graph_def, ["y", "not_needed"]), 2)
    self.assertEmpty(graph_freezing.variables(graph_def, ["x"]))

  def test_takes_large_constants_out(self):
    large = np.arange(600, dtype=np.float32).reshape([2, 300])
    with tf.Graph().as_default() as graph:
      x = v1.placeholder(tf.float32, [None, 2], name="x")
      y = tf.matmul(x, tf.constant(large, name="large"))
      tf.reshape(y, [-1, 3, 100], name="y")
    graph_def, weights = graph_freezing.take_weights(graph.as_graph_def())
    self.assertLess(graph_def.ByteSize(), 1000)
    self.assertEqual(list(weights), ["large:0"])
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as sess:
      inputs = {name: tf.constant(w.numpy()) for name, w in weights.items()}
      v1.import_graph_def(graph_def, inputs, name="")
      y = sess.run("y:0", {"x:0": [[1.0, 2.0]]})
    self.assertAllEqual(y, (large[0] + 2 * large[1]).reshape([1, 3, 100]))


if __name__ == "__main__":
  tf.test.main()
