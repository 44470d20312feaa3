"""Frozen graphs: a model in one file, for clients of the original's graph.

    from im2txt.inference import frozen_graph

    frozen_graph.write(frozen_graph.build(model), "model.pb")
    graph = frozen_graph.FrozenGraph.load("model.pb")

A GraphDef with constants for variables, whose tensors have the names, types
and shapes of the original's inference graph:

    fed      image_feed:0          string []        a whole image file
             input_feed:0          int64 [n]        last words
             lstm/state_feed:0     float32 [n, 2u]  c, then h, of u LSTM units
    fetched  lstm/initial_state:0  float32 [1, 2u]  from image_feed
             softmax:0             float32 [n, v]   next words' probabilities
             lstm/state:0          float32 [n, 2u]
    constant embedding_size:0, global_step:0        int32 []

Such a graph also comes out of TensorFlow's freeze_graph program, with the
output nodes softmax, lstm/initial_state and lstm/state of the original.
"""

from collections.abc import Mapping
from typing import Any

from absl import logging
from google.protobuf import message
import tensorflow as tf

from im2txt import show_and_tell_model
from im2txt.checkpointing import checkpoints
from im2txt.ops import graph_freezing
from im2txt.ops import graph_safety
from im2txt.runtime import cloud_file
from im2txt.runtime import failed_downloads

# What tells the path of a frozen graph from that of a checkpoint.
SUFFIX = ".pb"

_IMAGE_FEED = "image_feed"
_INPUT_FEED = "input_feed"
_STATE_FEED = "lstm/state_feed"
_INITIAL_STATE = "lstm/initial_state"
_SOFTMAX = "softmax"
_STATE = "lstm/state"
_EMBEDDING_SIZE = "embedding_size"
_GLOBAL_STEP = "global_step"

_FEEDS = (_IMAGE_FEED, _INPUT_FEED, _STATE_FEED)
_FETCHES = (_INITIAL_STATE, _SOFTMAX, _STATE)


class FrozenGraph:
  """A model for `captioning.Captioner` that a frozen graph holds.

  Attributes:
    vocab_size: The number of words that the model knows.
  """

  def __init__(self, graph_def: tf.compat.v1.GraphDef):
    """Takes a graph without variables; `load` reads one.

    Args:
      graph_def: A graph with the tensors of the module's docstring, but for the
        constants.

    Raises:
      ValueError: If it is another graph, not one for this TensorFlow, or does
        more than compute.
    """
    initial_state = {_INITIAL_STATE: tf.TensorSpec([1, None])}
    self._feed_image = _function(
        graph_def, {_IMAGE_FEED: tf.TensorSpec([], tf.string)}, initial_state
    )
    self._state_size = self._feed_image.output_shapes[0][-1]
    states = tf.TensorSpec([None, self._state_size])
    self._inference_step = _function(
        graph_def,
        {_INPUT_FEED: tf.TensorSpec([None], tf.int64), _STATE_FEED: states},
        {_SOFTMAX: tf.TensorSpec([None, None]), _STATE: states},
    )
    self.vocab_size: int = self._inference_step.output_shapes[0][-1]

  @classmethod
  def load(cls, path: str, checkpoint: str | None = None) -> "FrozenGraph":
    """Reads a graph from a file.

    Args:
      path: A file that `write`, or TensorFlow's freeze_graph program, made.
      checkpoint: A checkpoint's path, without suffix, with the values of the
        variables of a graph that is not frozen.

    Returns:
      The model.

    Raises:
      FileNotFoundError: If there is no such file or checkpoint.
      ValueError: If it holds another graph or none, or the checkpoint is not
        one for the graph.
    """
    logging.info("Loading model from frozen graph: %s", path)
    graph_def = _read(path)
    variables = graph_freezing.variables(graph_def, _FETCHES)
    if variables:
      if checkpoint is None:
        raise ValueError(
            f"The graph {path} is not frozen: it has {len(variables)}"
            f" variables, such as {min(variables)}, and not their values. Give"
            " the checkpoint instead, or freeze the graph with it."
        )
      graph_def = _restore(graph_def, variables, checkpoint)
    try:
      return cls(graph_def)
    except ValueError as error:
      raise ValueError(f"The graph {path} can't be used: {error}") from error

  def prepare_image(self, encoded_image: tf.Tensor) -> tf.Tensor:
    """Decodes and encodes an image: the state after it.

    Args:
      encoded_image: A scalar string Tensor, a whole image file.

    Returns:
      A float32 Tensor of shape [state_size].
    """
    return tf.ensure_shape(
        self._feed_image(encoded_image)[0][0], [self._state_size]
    )

  def image_states(self, images: tf.Tensor) -> tf.Tensor:
    """The states after images, which `prepare_image` has given already."""
    return images

  def decode_step(
      self, input_ids: tf.Tensor, state: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """See `CaptionDecoder.decode_step`."""
    softmax, state = self._inference_step(tf.cast(input_ids, tf.int64), state)
    return softmax, tf.ensure_shape(state, [None, self._state_size])


def build(
    model: show_and_tell_model.ShowAndTellModel,
) -> tf.compat.v1.GraphDef:
  """The frozen graph of a model.

  Args:
    model: The model, of the mode "inference".

  Returns:
    The graph, in which variables have become constants of the same names.
  """
  variables = model.checkpoint_variables()  # One of them is global_step.

  def add_nodes() -> None:
    graph = tf.compat.v1.get_default_graph()
    for name, variable in variables.items():
      # The node that stands for the variable; by default it has any name.
      graph.capture(variable.handle, name=name)
    encoded_image = _placeholder(_IMAGE_FEED, tf.string, [])
    input_ids = _placeholder(_INPUT_FEED, tf.int64, [None])
    state_size = 2 * model.config.num_lstm_units
    state = _placeholder(_STATE_FEED, tf.float32, [None, state_size])
    # A scope of their own leaves all nodes the names that they shall have.
    with tf.name_scope("show_and_tell"):
      images = model.prepare_image(encoded_image)[tf.newaxis]
      # Not `model.image_features`, which would be a call of a function; so all
      # nodes are in one graph, as tools for frozen graphs expect.
      features, _ = model.encoder.features_and_end_points(images)
      initial_state = model.initial_state(features)
      softmax, new_state = model.decode_step(input_ids, state)
    tf.identity(initial_state, name=_INITIAL_STATE)
    tf.identity(softmax, name=_SOFTMAX)
    tf.identity(new_state, name=_STATE)
    tf.constant(model.config.embedding_size, name=_EMBEDDING_SIZE)

  graph = tf.compat.v1.wrap_function(add_nodes, []).graph
  values = {name: variable.numpy() for name, variable in variables.items()}
  outputs = (*_FEEDS, *_FETCHES, _EMBEDDING_SIZE, _GLOBAL_STEP)
  graph_def = _without_defaults(graph.as_graph_def())
  return graph_freezing.freeze(graph_def, outputs, values)


def write(graph_def: tf.compat.v1.GraphDef, path: str) -> None:
  """Writes a graph to a file, which appears whole or not at all.

  Args:
    graph_def: The graph.
    path: The file to make or to replace. Its folder is made if need be.

  Raises:
    IsADirectoryError: If `path` is a folder.
  """
  cloud_file.write(graph_def.SerializeToString(), path)


def _read(path: str) -> tf.compat.v1.GraphDef:
  if not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
    raise FileNotFoundError(f"No frozen graph found at: {path}")
  with tf.io.gfile.GFile(path, "rb") as file:
    content = file.read()
  try:
    graph_def = tf.compat.v1.GraphDef.FromString(content)
  except message.DecodeError as error:
    what = failed_downloads.describe(path) or "is damaged"
    raise ValueError(
        f"The file {path} is not a frozen graph: it {what}."
    ) from error
  missing = {*_FEEDS, *_FETCHES} - {node.name for node in graph_def.node}
  if missing:
    raise ValueError(
        f"The file {path} is not a frozen graph of an im2txt model: it has no"
        f" {min(missing)}:0."
    )
  return graph_def


def _restore(
    graph_def: tf.compat.v1.GraphDef,
    specs: Mapping[str, tf.TensorSpec],
    checkpoint: str,
) -> tf.compat.v1.GraphDef:
  """Freezes a graph with a checkpoint's values for the variables of `specs`."""
  variables = {
      name: tf.Variable(tf.zeros(spec.shape, spec.dtype))
      for name, spec in specs.items()
  }
  checkpoints.restore(variables, checkpoint)
  values = {name: variable.numpy() for name, variable in variables.items()}
  return graph_freezing.freeze(graph_def, (*_FEEDS, *_FETCHES), values)


def _function(
    graph_def: tf.compat.v1.GraphDef,
    feeds: Mapping[str, tf.TensorSpec],
    fetches: Mapping[str, tf.TensorSpec],
) -> Any:
  """The part of a graph from some nodes to others, as a function."""
  frozen = graph_freezing.freeze(graph_def, (*feeds, *fetches), {})
  graph_safety.check(frozen)
  part, weights = graph_freezing.take_weights(frozen)

  def compute(*values: tf.Tensor) -> list[tf.Tensor]:
    inputs = {f"{n}:0": v for n, v in zip(feeds, values, strict=True)}
    inputs |= {name: tf.identity(weight) for name, weight in weights.items()}
    return tf.compat.v1.import_graph_def(
        part, inputs, [f"{name}:0" for name in fetches], name=""
    )

  try:
    function = tf.compat.v1.wrap_function(compute, list(feeds.values()))
  except tf.errors.OpError as error:  # An operation that is not known.
    raise ValueError(error.message) from error
  for (name, spec), tensor in zip(
      fetches.items(), function.outputs, strict=True
  ):
    if not spec.is_compatible_with(tensor) or tensor.shape[-1] is None:
      raise ValueError(
          f"{name}:0 is {tensor.dtype.name} {tensor.shape}, but an im2txt"
          f" model's is {spec.dtype.name} {spec.shape} with a known last size."
      )
  return function


def _placeholder(name: str, dtype: tf.DType, shape: list) -> tf.Tensor:
  return tf.compat.v1.placeholder(dtype, shape, name=name)


def _without_defaults(
    graph_def: tf.compat.v1.GraphDef,
) -> tf.compat.v1.GraphDef:
  """The graph without attributes that an older TensorFlow may not know."""
  with tf.Graph().as_default() as graph:
    tf.compat.v1.import_graph_def(graph_def, name="")
    return tf.compat.v1.train.export_meta_graph(
        graph=graph, strip_default_attrs=True
    ).graph_def
