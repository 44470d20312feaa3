"""Exports a model as a frozen graph, for clients of the original's graph.

    from im2txt.export import frozen_graph_export

    frozen_graph_export.write(frozen_graph_export.build(model), "model.pb")

`inference.frozen_graph` lists the tensors of such a graph, and runs it.
"""

import tensorflow as tf

from im2txt import networks
from im2txt import show_and_tell_model
from im2txt.inference import frozen_graph
from im2txt.inference import graph_freezing
from im2txt.runtime import cloud_file

_EMBEDDING_SIZE = "embedding_size"
_GLOBAL_STEP = "global_step"


def build(
    model: show_and_tell_model.ShowAndTellModel,
) -> tf.compat.v1.GraphDef:
  """Returns the frozen graph of a model.

  Args:
    model: The model, with mode "inference".

  Returns:
    The graph, with a constant of the same name in place of each variable.
  """
  variables = model.checkpoint_variables()  # One of them is global_step.

  def add_nodes() -> None:
    graph = tf.compat.v1.get_default_graph()
    for name, variable in variables.items():
      # Gives the variable's node its name, which would be arbitrary otherwise.
      graph.capture(variable.handle, name=name)
    encoded_image = _placeholder(frozen_graph.IMAGE_FEED, tf.string, [])
    input_ids = _placeholder(frozen_graph.INPUT_FEED, tf.int64, [None])
    state_size = networks.state_size(model.config)
    state = _placeholder(
        frozen_graph.STATE_FEED, tf.float32, [None, state_size]
    )
    # In a scope of their own, these nodes can't take the names of the outputs.
    with tf.name_scope("show_and_tell"):
      images = model.preprocess_image(encoded_image)[tf.newaxis]
      # Not `model.image_features`, which would add a function call: tools for
      # frozen graphs expect all nodes in one graph.
      features, _ = model.encoder.features_and_end_points(images)
      initial_state = model.decoder.initial_state(features)
      softmax, new_state = model.decode_step(input_ids, state)
    tf.identity(initial_state, name=frozen_graph.INITIAL_STATE)
    tf.identity(softmax, name=frozen_graph.SOFTMAX)
    tf.identity(new_state, name=frozen_graph.STATE)
    tf.constant(model.config.embedding_size, name=_EMBEDDING_SIZE)

  graph = tf.compat.v1.wrap_function(add_nodes, []).graph
  values = {name: variable.numpy() for name, variable in variables.items()}
  outputs = (
      *frozen_graph.FEEDS,
      *frozen_graph.FETCHES,
      _EMBEDDING_SIZE,
      _GLOBAL_STEP,
  )
  graph_def = _without_defaults(graph.as_graph_def())
  return graph_freezing.freeze(graph_def, outputs, values)


def write(graph_def: tf.compat.v1.GraphDef, path: str) -> None:
  """Writes a graph to a file, atomically.

  Args:
    graph_def: The graph.
    path: The file, replaced if it exists. Its folder is created if missing.

  Raises:
    IsADirectoryError: If `path` is a folder.
  """
  cloud_file.write(graph_def.SerializeToString(), path)


def _placeholder(name: str, dtype: tf.DType, shape: list) -> tf.Tensor:
  return tf.compat.v1.placeholder(dtype, shape, name=name)


def _without_defaults(
    graph_def: tf.compat.v1.GraphDef,
) -> tf.compat.v1.GraphDef:
  """Returns the graph without default attributes, for older TensorFlow."""
  with tf.Graph().as_default() as graph:
    tf.compat.v1.import_graph_def(graph_def, name="")
    return tf.compat.v1.train.export_meta_graph(
        graph=graph, strip_default_attrs=True
    ).graph_def
