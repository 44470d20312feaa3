"""A fake model with a table of probabilities, for tests of beam search."""

import numpy as np
import tensorflow as tf


class TableModel:
  """A model of several images, for both implementations of beam search.

  Attributes:
    probabilities: A float32 array of shape [num_images, num_hidden, vocab_size,
      vocab_size]; the next word's distribution in a hidden state after a word.
    next_hidden: An int32 array of shape [num_images, num_hidden, vocab_size].
  """

  def __init__(self, probabilities, next_hidden):
    """Initializes the model; see the attributes."""
    self.probabilities = np.asarray(probabilities, np.float32)
    self.next_hidden = np.asarray(next_hidden, np.int32)

  @property
  def initial_state(self):
    """The states of all images: the number of the image and a hidden state."""
    num_images = len(self.probabilities)
    return np.stack([np.arange(num_images), np.zeros(num_images)], axis=1)

  def step(self, input_ids, state):
    """Computes a step of `beam_search`."""
    image, hidden = tf.unstack(tf.cast(state, tf.int32), axis=1)
    indices = tf.stack([image, hidden, input_ids], axis=1)
    hidden = tf.gather_nd(self.next_hidden, indices)
    state = tf.cast(tf.stack([image, hidden], axis=1), tf.float32)
    return tf.gather_nd(self.probabilities, indices), state

  def feed_image(self, sess, image):
    """Returns the initial state of an image, given its number."""
    del sess
    return self.initial_state[image : image + 1]

  def inference_step(self, sess, input_feed, state_feed):
    """Computes a step of `CaptionGenerator`."""
    del sess
    image, hidden = state_feed.astype(np.int32).T
    new_hidden = self.next_hidden[image, hidden, input_feed]
    state = np.stack([image, new_hidden], axis=1)
    return self.probabilities[image, hidden, input_feed], state, None
