"""A tiny inference graph like the original's, and a client of such graphs."""

from collections.abc import Sequence
import os
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from im2txt.inference_utils import caption_generator
from im2txt.inference_utils import vocabulary
from im2txt.testing import tiny

v1 = tf.compat.v1

_EMBEDDING_SIZE = 4
_NUM_UNITS = 5
_OUTPUTS = ("softmax", "lstm/initial_state", "lstm/state")


class Client:
  """A model for `CaptionGenerator` that uses a session of TensorFlow 1."""

  def feed_image(self, sess: Any, encoded_image: bytes) -> np.ndarray:
    """Returns the initial state for an image."""
    return sess.run("lstm/initial_state:0", {"image_feed:0": encoded_image})

  def inference_step(
      self, sess: Any, input_feed: np.ndarray, state_feed: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, None]:
    """Returns the probabilities and states after words."""
    softmax, states = sess.run(
        ["softmax:0", "lstm/state:0"],
        {"input_feed:0": input_feed, "lstm/state_feed:0": state_feed},
    )
    return softmax, states, None


class Files(NamedTuple):
  """The files of a model of the original.

  Attributes:
    graph: The path of a graph with variables.
    checkpoint: The path of a checkpoint of the variables.
    frozen_graph: The path of the frozen graph.
  """

  graph: str
  checkpoint: str
  frozen_graph: str


def read(path: str) -> Any:
  """Returns the GraphDef in a file."""
  with open(path, "rb") as file:
    return v1.GraphDef.FromString(file.read())


def session(frozen_graph: str) -> Any:
  """Returns a session of TensorFlow 1 with a frozen graph."""
  with tf.Graph().as_default() as graph:
    v1.import_graph_def(read(frozen_graph), name="")
  return v1.Session(graph=graph)


def write(folder: str, *, use_resource: bool = False) -> Files:
  """Writes a model whose image features are the mean colours of an image.

  Args:
    folder: An existing folder.
    use_resource: Whether the variables are resource variables, as today, or
      reference variables, as in TensorFlow 1.

  Returns:
    The files.
  """
  files = Files(
      graph=os.path.join(folder, "graph.pb"),
      checkpoint=os.path.join(folder, "model.ckpt-7"),
      frozen_graph=os.path.join(folder, "frozen.pb"),
  )
  with tf.Graph().as_default() as graph, v1.Session(graph=graph) as sess:
    v1.set_random_seed(3)
    with v1.variable_scope(
        "",
        use_resource=use_resource,
        initializer=v1.random_uniform_initializer(-2, 2),
    ):
      _add_model()
    v1.get_variable(
        "global_step", initializer=np.int32(7), use_resource=use_resource
    )
    sess.run(v1.global_variables_initializer())
    v1.train.Saver().save(sess, files.checkpoint, write_meta_graph=False)
    graph_def = graph.as_graph_def()
    frozen = v1.graph_util.convert_variables_to_constants(
        sess, graph_def, list(_OUTPUTS)
    )
  for path, content in (
      (files.graph, graph_def),
      (files.frozen_graph, frozen),
  ):
    with open(path, "wb") as file:
      file.write(content.SerializeToString())
  return files


def _add_model() -> None:
  image_feed = v1.placeholder(tf.string, [], name="image_feed")
  input_feed = v1.placeholder(tf.int64, [None], name="input_feed")
  image = tf.image.decode_jpeg(image_feed, channels=3)
  image = tf.cast(image[tf.newaxis], tf.float32) / 128 - 1
  features = 3 * tf.reduce_mean(image, axis=[1, 2])
  with v1.variable_scope("image_embedding"):
    weights = v1.get_variable("weights", [3, _EMBEDDING_SIZE])
    image_embeddings = tf.matmul(features, weights)
  with v1.variable_scope("seq_embedding"), tf.device("/cpu:0"):
    embeddings = v1.get_variable("map", [tiny.VOCAB_SIZE, _EMBEDDING_SIZE])
    seq_embeddings = tf.nn.embedding_lookup(embeddings, input_feed)
  with v1.variable_scope("lstm") as scope:
    state = _lstm(image_embeddings, tf.zeros([1, 2 * _NUM_UNITS]))
    tf.concat(state, axis=1, name="initial_state")
    scope.reuse_variables()
    state_feed = v1.placeholder(
        tf.float32, [None, 2 * _NUM_UNITS], name="state_feed"
    )
    state = _lstm(seq_embeddings, state_feed)
    tf.concat(state, axis=1, name="state")
  with v1.variable_scope("logits"):
    weights = v1.get_variable("weights", [_NUM_UNITS, tiny.VOCAB_SIZE])
    biases = v1.get_variable("biases", [tiny.VOCAB_SIZE])
    logits = tf.matmul(state[1], weights) + biases
  tf.nn.softmax(logits, name="softmax")


def _lstm(inputs: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  with v1.variable_scope("basic_lstm_cell"):
    size = 4 * _NUM_UNITS
    kernel = v1.get_variable("kernel", [_EMBEDDING_SIZE + _NUM_UNITS, size])
    bias = v1.get_variable("bias", [size])
  c, h = tf.split(state, 2, axis=1)
  gates = tf.matmul(tf.concat([inputs, h], axis=1), kernel) + bias
  i, j, f, o = tf.split(gates, 4, axis=1)
  c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
  return c, tf.tanh(c) * tf.sigmoid(o)


def caption_words(
    vocab: vocabulary.Vocabulary,
    captions: Sequence[caption_generator.Caption],
) -> list[tuple[str, ...]]:
  """Returns the words of captions of `CaptionGenerator`."""
  return [
      tuple(
          vocab.id_to_word(i) for i in caption.sentence[1:] if i != vocab.end_id
      )
      for caption in captions
  ]
