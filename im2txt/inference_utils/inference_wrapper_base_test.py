"""Tests of what a wrapper inherits, with a model of one variable."""

import os

import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoints
from im2txt.inference_utils import inference_wrapper_base
from im2txt.testing import original_graph
from im2txt.testing import tiny_captioning

_NAME = "logits/biases"


class _Model:

  def __init__(self):
    self.biases = tf.Variable([0.0, 0.0])
    self.step = tf.Variable(0)

  def checkpoint_variables(self):
    return {_NAME: self.biases, "global_step": self.step}


class _Wrapper(inference_wrapper_base.InferenceWrapperBase):

  def build_model(self, model_config):
    self.config = model_config
    self.model = _Model()
    return self.model

  def feed_image(self, sess, encoded_image):
    raise NotImplementedError

  def inference_step(self, sess, input_feed, state_feed):
    raise NotImplementedError


class _GraphWrapper(_Wrapper):

  def use_graph(self, graph):
    self.graph = graph


class InferenceWrapperBaseTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path

  def _save(self, step, **values):
    variables = {_NAME: tf.Variable([1.0, 2.0])}
    for name, value in values.items():
      variables[f"{_NAME}/{name}"] = tf.Variable(value)
    saver = checkpoints.Saver(variables, self.dir, max_to_keep=9)
    return saver.save(step)

  def test_restores_the_newest_when_told_to(self):
    self._save(5)
    path = self._save(6)
    wrapper = _Wrapper()
    config = configuration.ModelConfig(vocab_size=2)
    restore_fn = wrapper.build_graph_from_config(config, self.dir)
    self.assertEqual(config, wrapper.config)
    self.assertAllEqual([0, 0], wrapper.model.biases)
    with self.assertLogs("absl", "INFO") as logs:
      restore_fn("any session")
    # The global step, which is missing from the checkpoint, is not needed.
    self.assertAllEqual([1, 2], wrapper.model.biases)
    messages = [record.getMessage() for record in logs.records]
    self.assertEqual(f"Loading model from checkpoint: {path}", messages[0])
    self.assertEqual(
        "Successfully loaded checkpoint: model.ckpt-6", messages[-1]
    )

  def test_averages_if_the_configuration_says_so(self):
    path = self._save(5, ExponentialMovingAverage=[3.0, 4.0])
    wrapper = _Wrapper()
    for use_ema, expected in ((False, [1, 2]), (True, [3, 4])):
      config = configuration.ModelConfig(use_ema=use_ema)
      wrapper.build_graph_from_config(config, path)(None)
      self.assertAllEqual(expected, wrapper.model.biases)

  def test_no_checkpoint_is_told_at_once(self):
    wrapper = _Wrapper()
    with self.assertRaisesRegex(FileNotFoundError, self.dir):
      wrapper.build_graph_from_config(configuration.ModelConfig(), self.dir)
    with self.assertRaisesRegex(FileNotFoundError, self.dir):
      wrapper.build_graph_from_proto("graph.pb", None, self.dir)

  def test_a_graph_is_read_when_told_to(self):
    files = original_graph.write(self.dir)
    wrapper = _GraphWrapper()
    restore_fn = wrapper.build_graph_from_proto(
        files.graph, "no such file", files.checkpoint
    )
    self.assertFalse(hasattr(wrapper, "graph"))
    restore_fn(None)
    # By both files as by the frozen graph, which needs no other.
    states = [wrapper.graph]
    wrapper.build_graph_from_proto(files.frozen_graph)(None)
    states.append(wrapper.graph)
    image = tf.constant(tiny_captioning.jpeg(1))
    found, expected = (
        np.asarray(g.initial_states(g.preprocess_image(image)[tf.newaxis]))
        for g in states
    )
    self.assertAllClose(expected, found)

  def test_a_missing_graph(self):
    path = os.path.join(self.dir, "graph.pb")
    restore_fn = _GraphWrapper().build_graph_from_proto(path)
    with self.assertRaisesRegex(FileNotFoundError, "graph.pb"):
      restore_fn(None)

  def test_a_wrapper_that_takes_no_graphs(self):
    files = original_graph.write(self.dir)
    restore_fn = _Wrapper().build_graph_from_proto(files.frozen_graph)
    with self.assertRaisesRegex(NotImplementedError, "_Wrapper takes no gra"):
      restore_fn(None)


if __name__ == "__main__":
  tf.test.main()
