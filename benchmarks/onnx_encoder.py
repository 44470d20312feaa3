"""Converts the folded encoder to ONNX, for comparison with other runtimes.

Supports only the operations of Inception v3. TensorFlow's tensors are [batch,
height, width, channels], ONNX's [batch, channels, height, width]; so images and
kernels are transposed, and concatenations are along axis 1.
"""

from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx import numpy_helper
import tensorflow as tf

from im2txt.ops import folded_encoder

INPUT, OUTPUT = "images", "features"
_OPSET = 17


def convert(encoder: folded_encoder.FoldedEncoder) -> onnx.ModelProto:
  """Converts an encoder to an ONNX model.

  Args:
    encoder: An encoder in float32.

  Returns:
    A model from float32 images of shape [n, 3, height, width] to features of
    shape [n, feature_size].
  """
  graph = encoder.function.graph
  images = graph.inputs[0]
  values = {
      placeholder.name: value.numpy() for value, placeholder in graph.captures
  }
  names = {images.name: INPUT}
  nodes, weights = [], []
  for operation in graph.get_operations():
    inputs = [names.get(t.name, t.name) for t in operation.inputs]
    outputs = [t.name for t in operation.outputs]
    if operation.type == "Const":
      value = tf.make_ndarray(operation.get_attr("value"))
      if value.dtype == np.float32:  # Small weights are constants.
        values[outputs[0]] = value
    if outputs[0] in values:
      weights.append(_weights(values[outputs[0]], outputs[0]))
    elif operation.type in ("Identity", "Cast"):  # From float32 to float32.
      names[outputs[0]] = inputs[0]
    elif operation.type not in ("Const", "Placeholder"):
      nodes += _nodes(operation, inputs, outputs)
  features = names.get(graph.outputs[0].name, graph.outputs[0].name)
  nodes.append(helper.make_node("Flatten", [features], [OUTPUT]))
  height, width = images.shape[1:3]
  made = helper.make_graph(
      nodes,
      "encoder",
      [_tensor(INPUT, ["n", 3, height, width])],
      [_tensor(OUTPUT, ["n", encoder.feature_size])],
      weights,
  )
  opset = helper.make_opsetid("", _OPSET)
  # Readable by runtimes since that version.
  model = helper.make_model(made, opset_imports=[opset], ir_version=8)
  onnx.checker.check_model(model)
  return model


def _nodes(
    operation: Any, inputs: list[str], outputs: list[str]
) -> list[onnx.NodeProto]:
  """Returns the ONNX nodes for an operation of TensorFlow."""

  def node(kind: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, outputs, **attributes)

  def window() -> dict[str, Any]:
    same = operation.get_attr("padding") == b"SAME"
    return {
        "strides": operation.get_attr("strides")[1:3],
        "auto_pad": "SAME_UPPER" if same else "VALID",
    }

  match operation.type:
    case "Conv2D":
      return [node("Conv", *inputs, **window())]
    case "BiasAdd":
      shape = helper.make_tensor(
          "shape", onnx.TensorProto.INT64, [4], [1, -1, 1, 1]
      )
      name, bias = outputs[0], f"{outputs[0]}/bias"
      return [
          helper.make_node("Constant", [], [f"{name}/shape"], value=shape),
          helper.make_node("Reshape", [inputs[1], f"{name}/shape"], [bias]),
          node("Add", inputs[0], bias),
      ]
    case "Relu":
      return [node("Relu", *inputs)]
    case "MaxPool" | "AvgPool":
      kind = operation.type.replace("Avg", "Average")
      size = operation.get_attr("ksize")[1:3]
      return [node(kind, *inputs, kernel_shape=size, **window())]
    case "ConcatV2":
      return [node("Concat", *inputs[:-1], axis=1)]
    case "Mean":
      return [node("GlobalAveragePool", inputs[0])]
  raise ValueError(f"Unsupported operation: {operation.type}.")


def _weights(value: np.ndarray, name: str) -> onnx.TensorProto:
  if value.ndim == 4:
    value = value.transpose([3, 2, 0, 1]).copy()
  return numpy_helper.from_array(value, name)


def _tensor(name: str, shape: list[Any]) -> onnx.ValueInfoProto:
  return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
