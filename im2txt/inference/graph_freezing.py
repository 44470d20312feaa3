"""Freezes a GraphDef: replaces variables by constants and prunes the graph.

TensorFlow's public functions for this need a session or a SavedModel. Here it
is enough to replace a few kinds of nodes:

    VariableV2, VarHandleOp, ...  ->  Const       of the same name
    ReadVariableOp                ->  Identity    of the same name
    ResourceGather                ->  Gather      of the same name
"""

from collections.abc import Collection
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

# Two reference variables of TensorFlow 1, and the resource variable.
_VARIABLE_OPS = ("Variable", "VariableV2", "VarHandleOp")

# A constant with at least so many elements is a weight of the model. Smaller
# ones may be shapes or axes, whose values TensorFlow must know in advance.
_LARGE = 256


def variables(
    graph_def: tf.compat.v1.GraphDef, outputs: Collection[str]
) -> dict[str, tf.TensorSpec]:
  """Returns the variables that the outputs of a graph depend on.

  Args:
    graph_def: The graph.
    outputs: Names of the output nodes.

  Returns:
    Shape and dtype of each variable, by the name of its node.
  """
  return {
      node.name: tf.TensorSpec(
          tf.TensorShape(node.attr["shape"].shape),
          tf.as_dtype(node.attr["dtype"].type),
          node.name,
      )
      for node in _needed(graph_def, outputs, ())
      if node.op in _VARIABLE_OPS
  }


def freeze(
    graph_def: tf.compat.v1.GraphDef,
    outputs: Collection[str],
    values: Mapping[str, np.ndarray],
) -> tf.compat.v1.GraphDef:
  """Returns the part of a graph that its outputs depend on, without variables.

  Args:
    graph_def: The graph.
    outputs: Names of the output nodes, which must exist.
    values: Values of the variables by the names of their nodes. A node may also
      be a placeholder that is fed with a resource.

  Returns:
    The frozen graph, without device names.
  """
  frozen = tf.compat.v1.GraphDef(
      library=graph_def.library, versions=graph_def.versions
  )
  for node in _needed(graph_def, outputs, values):
    if node.name in values:
      frozen.node.append(_constant(node.name, values[node.name]))
    else:
      frozen.node.append(_without_resources(node))
  return frozen


def take_weights(
    frozen: tf.compat.v1.GraphDef,
) -> tuple[tf.compat.v1.GraphDef, dict[str, tf.Tensor]]:
  """Replaces the large constants of a graph by placeholders.

  This saves memory, because TensorFlow copies a graph several times.

  Args:
    frozen: A graph without variables.

  Returns:
    The graph with placeholders, and the constants by the names of their
    tensors, for the argument `input_map` of `import_graph_def`.
  """
  graph_def = tf.compat.v1.GraphDef(
      library=frozen.library, versions=frozen.versions
  )
  weights = {}
  for node in frozen.node:
    if _is_large(node):
      value = tf.make_ndarray(node.attr["value"].tensor)
      weights[f"{node.name}:0"] = tf.constant(value)
      placeholder = graph_def.node.add(name=node.name, op="Placeholder")
      placeholder.attr["dtype"].CopyFrom(node.attr["dtype"])
    else:
      graph_def.node.append(node)
  return graph_def, weights


def _needed(
    graph_def: tf.compat.v1.GraphDef,
    outputs: Collection[str],
    leaves: Collection[str],
) -> list[tf.compat.v1.NodeDef]:
  """Returns the nodes that the outputs depend on, up to the leaves."""
  inputs = {
      node.name: [] if node.name in leaves else node.input
      for node in graph_def.node
  }
  needed: set[str] = set()
  waiting = list(outputs)
  while waiting:
    name = waiting.pop()
    if name not in needed:
      needed.add(name)
      # "^name" is a control input, "name:1" a node's second output.
      waiting += [i.removeprefix("^").partition(":")[0] for i in inputs[name]]
  return [node for node in graph_def.node if node.name in needed]


def _is_large(node: tf.compat.v1.NodeDef) -> bool:
  if node.op != "Const":
    return False
  shape = tf.TensorShape(node.attr["value"].tensor.tensor_shape)
  return shape.num_elements() >= _LARGE


def _constant(name: str, value: np.ndarray) -> tf.compat.v1.NodeDef:
  tensor = tf.make_tensor_proto(value)
  node = tf.compat.v1.NodeDef(name=name, op="Const")
  node.attr["dtype"].type = tensor.dtype
  node.attr["value"].tensor.CopyFrom(tensor)
  return node


def _without_resources(node: tf.compat.v1.NodeDef) -> tf.compat.v1.NodeDef:
  """Returns a node for constants in place of a node for variables."""
  result = tf.compat.v1.NodeDef(name=node.name, op=node.op, input=node.input)
  if node.op == "ReadVariableOp":
    result.op = "Identity"
    result.attr["T"].CopyFrom(node.attr["dtype"])
  elif node.op == "ResourceGather":
    result.op = "Gather"
    result.attr["Tparams"].CopyFrom(node.attr["dtype"])
    result.attr["Tindices"].CopyFrom(node.attr["Tindices"])
  else:
    for name, value in node.attr.items():
      if not name.startswith("_"):  # Hints, such as colocation.
        result.attr[name].CopyFrom(value)
  return result
