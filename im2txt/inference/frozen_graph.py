"""Frozen graphs: a model in one file, in the original's format.

    from im2txt.inference import frozen_graph

    graph = frozen_graph.FrozenGraph.load("model.pb")

`export.frozen_graph_export` writes such files. They hold a GraphDef with
constants in place of variables, whose tensors have the names, types and shapes
of the original's inference graph:

    fed      image_feed:0          string []        content of an image file
             input_feed:0          int64 [n]        last words
             lstm/state_feed:0     float32 [n, 2u]  c, then h, of u LSTM units
    fetched  lstm/initial_state:0  float32 [1, 2u]  from image_feed
             softmax:0             float32 [n, v]   next words' probabilities
             lstm/state:0          float32 [n, 2u]
    constant embedding_size:0, global_step:0        int32 []

TensorFlow's freeze_graph program also writes such a graph, given the original's
output nodes softmax, lstm/initial_state and lstm/state.
"""

from collections.abc import Mapping
import re
from typing import Any

from absl import logging
from google.protobuf import message
import tensorflow as tf

from im2txt.checkpointing import checkpoints
from im2txt.inference import graph_freezing
from im2txt.runtime import failed_downloads

# Distinguishes the path of a frozen graph from the path of a checkpoint.
SUFFIX = ".pb"

# Names of the nodes that are fed and fetched.
IMAGE_FEED = "image_feed"
INPUT_FEED = "input_feed"
STATE_FEED = "lstm/state_feed"
INITIAL_STATE = "lstm/initial_state"
SOFTMAX = "softmax"
STATE = "lstm/state"

FEEDS = (IMAGE_FEED, INPUT_FEED, STATE_FEED)
FETCHES = (INITIAL_STATE, SOFTMAX, STATE)

# Operations with side effects. A graph is a program, possibly from an untrusted
# source, and a captioning model needs none of these.
_HARMFUL = re.compile(
    # Files: contents, names, records, checkpoints; printing and summaries,
    # which may also write to a file.
    r".*(File|Reader|Dataset|Iterator|Save|Restore|Checkpoint).*"
    r"|.*(Summary|Print|Debug).*"
    r"|ImmutableConst|RecordInput|LoadAndRemapMatrix|GenerateVocabRemapping"
    r"|FixedUnigramCandidateSampler|Copy|CopyHost"
    # Python, other machines, the end of the process, internal operations.
    r"|.*PyFunc.*|.*(Rpc|Remote|Send|Recv|Collective).*|Abort|_.*"
)


class FrozenGraph:
  """A `model_loader.CaptionModel` from a frozen graph.

  Attributes:
    vocab_size: Number of words in the vocabulary of the model.
  """

  def __init__(self, graph_def: tf.compat.v1.GraphDef):
    """Creates a model from a graph without variables; see also `load`.

    Args:
      graph_def: A graph with the tensors of the module's docstring; the
        constants may be missing.

    Raises:
      ValueError: If the graph is not that of an im2txt model, has operations
        that this TensorFlow does not know, or has side effects.
    """
    initial_state = {INITIAL_STATE: tf.TensorSpec([1, None])}
    self._feed_image = _function(
        graph_def, {IMAGE_FEED: tf.TensorSpec([], tf.string)}, initial_state
    )
    self._state_size = self._feed_image.output_shapes[0][-1]
    states = tf.TensorSpec([None, self._state_size])
    self._inference_step = _function(
        graph_def,
        {INPUT_FEED: tf.TensorSpec([None], tf.int64), STATE_FEED: states},
        {SOFTMAX: tf.TensorSpec([None, None]), STATE: states},
    )
    self.vocab_size: int = self._inference_step.output_shapes[0][-1]

  @classmethod
  def load(cls, path: str, checkpoint: str | None = None) -> "FrozenGraph":
    """Reads a graph from a file.

    Args:
      path: A file that `frozen_graph_export` or TensorFlow's freeze_graph
        program wrote.
      checkpoint: The path of a checkpoint, without suffix, with the values of
        the variables, if the graph is not frozen.

    Returns:
      The model.

    Raises:
      FileNotFoundError: If the file or the checkpoint does not exist.
      ValueError: If the file does not hold the graph of an im2txt model, or the
        checkpoint does not match the graph.
    """
    logging.info("Loading model from frozen graph: %s", path)
    graph_def = _read(path)
    variables = graph_freezing.variables(graph_def, FETCHES)
    if variables:
      if checkpoint is None:
        raise ValueError(
            f"The graph {path} is not frozen: it has {len(variables)}"
            f" variables, such as {min(variables)}, without their values. Use"
            " the checkpoint instead, or freeze the graph with it."
        )
      graph_def = _restore(graph_def, variables, checkpoint)
    try:
      return cls(graph_def)
    except ValueError as error:
      raise ValueError(f"The graph {path} can't be used: {error}") from error

  def preprocess_image(self, encoded_image: tf.Tensor) -> tf.Tensor:
    """Decodes an image and computes its initial state.

    Args:
      encoded_image: A scalar string Tensor, the content of an image file.

    Returns:
      A float32 Tensor of shape [state_size].
    """
    return tf.ensure_shape(
        self._feed_image(encoded_image)[0][0], [self._state_size]
    )

  def initial_states(self, images: tf.Tensor) -> tf.Tensor:
    """Returns its argument: `preprocess_image` has computed the states."""
    return images

  def decode_step(
      self, input_ids: tf.Tensor, state: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """See `CaptionDecoder.decode_step`."""
    softmax, state = self._inference_step(tf.cast(input_ids, tf.int64), state)
    return softmax, tf.ensure_shape(state, [None, self._state_size])


def check_safe(graph_def: tf.compat.v1.GraphDef) -> None:
  """Checks, before a graph runs, that it has no side effects.

  Args:
    graph_def: The graph, reduced to the nodes that its outputs depend on.

  Raises:
    ValueError: If an operation may read or write files, call Python or other
      machines, or end the process.
  """
  nodes = [*graph_def.node]
  for function in graph_def.library.function:
    nodes += function.node_def
  for node in nodes:
    if _HARMFUL.fullmatch(node.op):
      raise ValueError(
          f"It has the operation {node.op}, called {node.name}, which may read"
          " or write files, or run other programs."
      )


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
  missing = {*FEEDS, *FETCHES} - {node.name for node in graph_def.node}
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
  """Freezes a graph with the values of its variables in a checkpoint."""
  variables = {
      name: tf.Variable(tf.zeros(spec.shape, spec.dtype))
      for name, spec in specs.items()
  }
  checkpoints.restore(variables, checkpoint)
  values = {name: variable.numpy() for name, variable in variables.items()}
  return graph_freezing.freeze(graph_def, (*FEEDS, *FETCHES), values)


def _function(
    graph_def: tf.compat.v1.GraphDef,
    feeds: Mapping[str, tf.TensorSpec],
    fetches: Mapping[str, tf.TensorSpec],
) -> Any:
  """Returns the part of a graph between feeds and fetches, as a function."""
  frozen = graph_freezing.freeze(graph_def, (*feeds, *fetches), {})
  check_safe(frozen)
  part, weights = graph_freezing.take_weights(frozen)

  def compute(*values: tf.Tensor) -> list[tf.Tensor]:
    inputs = {f"{n}:0": v for n, v in zip(feeds, values, strict=True)}
    inputs |= {name: tf.identity(weight) for name, weight in weights.items()}
    return tf.compat.v1.import_graph_def(
        part, inputs, [f"{name}:0" for name in fetches], name=""
    )

  try:
    function = tf.compat.v1.wrap_function(compute, list(feeds.values()))
  except tf.errors.OpError as error:  # An unknown operation.
    raise ValueError(error.message) from error
  for (name, spec), tensor in zip(
      fetches.items(), function.outputs, strict=True
  ):
    if not spec.is_compatible_with(tensor) or tensor.shape[-1] is None:
      raise ValueError(
          f"{name}:0 is {tensor.dtype.name} {tensor.shape}, but must be"
          f" {spec.dtype.name} {spec.shape} with a known last dimension."
      )
  return function
