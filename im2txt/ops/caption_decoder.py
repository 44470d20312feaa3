"""The decoder, which turns the features of an image into a caption.

The embedded image is the first input of the LSTM, from a zero state. The output
of that step is not used. Then each word predicts the next one.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from im2txt.ops import lstm
from im2txt.ops import scheduled_sampling
from im2txt.ops import seeds

# The variables with weight decay. The word embedding has none, because most of
# its rows get no gradient in a step.
KERNEL_NAMES = (
    "image_embedding/weights",
    "lstm/basic_lstm_cell/kernel",
    "logits/weights",
)


class CaptionDecoder(tf.Module):
  """Image embedding, word embedding, LSTM and softmax layer.

  Attributes:
    variables_by_name: The six variables below by their checkpoint names.
    image_embedding: float32 [feature_size, embedding_size].
    word_embedding: float32 [vocab_size, embedding_size].
    lstm_kernel: float32 [embedding_size + num_units, 4 * num_units].
    lstm_bias: float32 [4 * num_units].
    logits_weights: float32 [num_units, vocab_size].
    logits_biases: float32 [vocab_size].
  """

  def __init__(
      self,
      *,
      feature_size: int,
      vocab_size: int,
      embedding_size: int,
      num_units: int,
      initializer_scale: float,
      dropout_keep_prob: float,
      seed: int = 0,
      value: Callable[[str, Sequence[int]], Any] | None = None,
      compute_dtype: tf.DType = tf.float32,
  ):
    """Creates the variables: kernels and embeddings uniform, biases zero.

    Args:
      feature_size: Number of features per image.
      vocab_size: Number of words.
      embedding_size: Size of the embeddings of images and words.
      num_units: Number of units of the LSTM.
      initializer_scale: Bound of the initial values, in [-scale, scale].
      dropout_keep_prob: Probability of keeping an input or output of the LSTM
        in training.
      seed: Seed for the initial values.
      value: Optional function (name, shape) -> checkpoint value, a float32
        Tensor or array, used instead of random initialization.
      compute_dtype: Data type of the matrix products.
    """
    super().__init__(name="caption_decoder")
    self._num_units = num_units
    self._compute_dtype = compute_dtype
    self._dropout_rate = 1 - dropout_keep_prob
    self.variables_by_name: dict[str, tf.Variable] = {}

    def variable(name: str, *shape: int, scale: float) -> tf.Variable:
      if value:
        initial_value = value(name, shape)
      else:
        initial_value = tf.random.stateless_uniform(
            shape, seeds.named_seed(seed, name), -scale, scale
        )
      self.variables_by_name[name] = tf.Variable(initial_value, name=name)
      return self.variables_by_name[name]

    scale = initializer_scale
    self.image_embedding = variable(
        "image_embedding/weights", feature_size, embedding_size, scale=scale
    )
    self.word_embedding = variable(
        "seq_embedding/map", vocab_size, embedding_size, scale=scale
    )
    self.lstm_kernel = variable(
        "lstm/basic_lstm_cell/kernel",
        embedding_size + num_units,
        4 * num_units,
        scale=scale,
    )
    self.lstm_bias = variable(
        "lstm/basic_lstm_cell/bias", 4 * num_units, scale=0.0
    )
    self.logits_weights = variable(
        "logits/weights", num_units, vocab_size, scale=scale
    )
    self.logits_biases = variable("logits/biases", vocab_size, scale=0.0)

  def word_logits(
      self,
      features: tf.Tensor,
      input_seqs: tf.Tensor,
      input_mask: tf.Tensor,
      *,
      dropout_seed: tf.Tensor | None = None,
      sampling_probability: tf.Tensor | None = None,
      at_padding: bool = False,
  ) -> tf.Tensor:
    """Returns the logits of the next word after each word of captions.

    Args:
      features: A float32 Tensor of shape [batch_size, feature_size].
      input_seqs: An integer Tensor of shape [batch_size, padded_length].
      input_mask: An int32 Tensor of the same shape; 1 at words, 0 at padding.
      dropout_seed: An integer Tensor of shape [2]; the seed for dropout. None
        for no dropout.
      sampling_probability: A scalar float32 Tensor; the probability of
        replacing an input word by a word drawn from the decoder's prediction.
        Requires `dropout_seed`. None has the same result as 0, but is faster.
      at_padding: Whether to compute logits at padding too, so that all shapes
        are known when XLA compiles the computation.

    Returns:
      A float32 Tensor of shape [sum(input_mask), vocab_size], in row-major
      order of the mask. Since padding is a fifth of a batch, and this product
      half of a step's work, padding is left out before the product. With
      `at_padding`, the shape is [batch_size * padded_length, vocab_size].
    """
    if sampling_probability is not None:
      input_seqs = self._sample_inputs(
          features,
          input_seqs,
          input_mask,
          sampling_probability,
          dropout_seed,
          at_padding,
      )
    steps = tf.concat(
        [
            self._embed_images(features)[:, tf.newaxis],
            tf.nn.embedding_lookup(self.word_embedding, input_seqs),
        ],
        axis=1,
    )
    weights = {"kernel": self._cast(self.lstm_kernel), "bias": self.lstm_bias}
    if dropout_seed is None:
      outputs = lstm.lstm_outputs(steps, **weights)
    else:
      input_seed, output_seed = _split(dropout_seed)
      outputs = lstm.lstm_outputs(self._dropout(steps, input_seed), **weights)
      outputs = self._dropout(outputs, output_seed)
    outputs = outputs[:, 1:]
    if at_padding:
      return self._logits(tf.reshape(outputs, [-1, self._num_units]))
    return self._logits(tf.boolean_mask(outputs, input_mask > 0))

  def initial_state(self, features: tf.Tensor) -> tf.Tensor:
    """Returns the state of the LSTM after the images.

    Args:
      features: A float32 Tensor of shape [batch_size, feature_size].

    Returns:
      A float32 Tensor of shape [batch_size, 2 * num_units].
    """
    zeros = tf.zeros([tf.shape(features)[0], 2 * self._num_units])
    return self._step(self._embed_images(features), zeros)

  def decode_step(
      self, input_ids: tf.Tensor, state: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Feeds one word per caption to the LSTM and predicts the next one.

    Args:
      input_ids: An integer Tensor of shape [batch_size]; the words.
      state: A float32 Tensor of shape [batch_size, 2 * num_units].

    Returns:
      probabilities: A float32 Tensor of shape [batch_size, vocab_size]; the
        probabilities of the next word.
      state: A float32 Tensor of shape [batch_size, 2 * num_units]; the new
        state.
    """
    state = self.next_state(input_ids, state)
    return tf.nn.softmax(self._next_logits(state)), state

  def next_state(self, input_ids: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
    """Returns the state after one word per caption; see `decode_step`."""
    return self._step(
        tf.nn.embedding_lookup(self.word_embedding, input_ids), state
    )

  def next_log_probs(
      self, state: tf.Tensor, rows: tf.Tensor, word_ids: tf.Tensor
  ) -> tf.Tensor:
    """Returns the log-probabilities of given next words.

    Args:
      state: A float32 Tensor of shape [batch_size, 2 * num_units].
      rows: An int32 Tensor of shape [num_words]; the row of `state` that each
        word follows.
      word_ids: An int32 Tensor of shape [num_words]; the next words.

    Returns:
      A float32 Tensor of shape [num_words].
    """
    logits = self._next_logits(state)
    # `log_softmax` would allocate another Tensor of the size of the logits.
    normalizers = tf.reduce_logsumexp(logits, axis=1)
    word_logits = tf.gather_nd(logits, tf.stack([rows, word_ids], axis=1))
    return word_logits - tf.gather(normalizers, rows)

  def _sample_inputs(
      self,
      features,
      input_seqs,
      input_mask,
      probability,
      dropout_seed,
      at_padding,
  ) -> tf.Tensor:
    """Replaces inputs by drawn words, with the dropout of `word_logits`."""

    def dropout_of_steps(seed, size):
      # One step for each word, and one for the image before them.
      shape = [*tf.unstack(tf.shape(input_seqs) + [0, 1]), size]
      return tf.transpose(self._dropout(tf.ones(shape), seed), [1, 0, 2])

    input_seed, output_seed = _split(dropout_seed)
    of_inputs = dropout_of_steps(input_seed, self.word_embedding.shape[1])
    of_outputs = dropout_of_steps(output_seed, self._num_units)

    def next_state(time, word_ids, state):
      words = tf.nn.embedding_lookup(self.word_embedding, word_ids)
      return self._step(words * of_inputs[time + 1], state)

    def next_logits(time, state, rows):
      outputs = state[:, self._num_units :] * of_outputs[time + 1]
      return self._logits(tf.gather(outputs, rows))

    image = self._embed_images(features) * of_inputs[0]
    zeros = tf.zeros([tf.shape(features)[0], 2 * self._num_units])
    return scheduled_sampling.sample_inputs(
        input_seqs,
        input_mask,
        scheduled_sampling.Decoder(
            self._step(image, zeros), next_state, next_logits
        ),
        probability=probability,
        seed=tf.random.experimental.stateless_fold_in(dropout_seed, 0),
        at_padding=at_padding,
    )

  def _next_logits(self, state: tf.Tensor) -> tf.Tensor:
    return self._logits(state[:, self._num_units :])

  def _step(self, step_inputs: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
    return lstm.lstm_step(
        step_inputs,
        state,
        kernel=self._cast(self.lstm_kernel),
        bias=self.lstm_bias,
    )

  def _dropout(self, values: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return tf.nn.experimental.stateless_dropout(
        values, self._dropout_rate, seed=seed
    )

  def _logits(self, outputs: tf.Tensor) -> tf.Tensor:
    logits = lstm.matmul(outputs, self._cast(self.logits_weights))
    return tf.nn.bias_add(logits, self.logits_biases)

  def _embed_images(self, features: tf.Tensor) -> tf.Tensor:
    return lstm.matmul(features, self._cast(self.image_embedding))

  def _cast(self, kernel: tf.Variable) -> tf.Tensor:
    return tf.cast(kernel, self._compute_dtype)


def _split(dropout_seed: tf.Tensor) -> list[tf.Tensor]:
  """Returns the seeds of the dropout of inputs and of outputs."""
  return tf.unstack(tf.random.experimental.stateless_split(dropout_seed))
