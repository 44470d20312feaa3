"""Tests of the decoder against a step-by-step implementation in NumPy."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.ops import caption_decoder


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


class NumpyDecoder:
  """Runs the decoder in float64, one image and one word at a time."""

  def __init__(self, decoder):
    self.weights = {
        name.rpartition("/")[2]
        if name.startswith("lstm")
        else name: variable.numpy().astype(np.float64)
        for name, variable in decoder.variables_by_name.items()
    }

  def step(self, x, c, h):
    kernel, bias = self.weights["kernel"], self.weights["bias"]
    i, j, f, o = np.split(np.concatenate([x, h]) @ kernel + bias, 4)
    c = _sigmoid(f + 1) * c + _sigmoid(i) * np.tanh(j)
    return c, _sigmoid(o) * np.tanh(c)

  def start(self, features):
    zeros = np.zeros(self.weights["logits/weights"].shape[0])
    return self.step(
        features @ self.weights["image_embedding/weights"], zeros, zeros
    )

  def logits(self, word_id, c, h):
    c, h = self.step(self.weights["seq_embedding/map"][word_id], c, h)
    logits = h @ self.weights["logits/weights"] + self.weights["logits/biases"]
    return logits, c, h


class CaptionDecoderTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.decoder = self._decoder()
    rng = np.random.default_rng(4)
    for variable in self.decoder.variables:
      variable.assign(rng.normal(size=variable.shape))
    self.features = rng.normal(size=[2, 5]).astype(np.float32)
    self.input_seqs = np.array([[1, 4, 3], [1, 2, 0]])
    self.mask = np.array([[1, 1, 1], [1, 1, 0]], np.int32)

  def _decoder(self, keep_prob=0.7, seed=0, scale=0.08):
    return caption_decoder.CaptionDecoder(
        feature_size=5,
        vocab_size=7,
        embedding_size=4,
        num_units=3,
        initializer_scale=scale,
        dropout_keep_prob=keep_prob,
        seed=seed,
    )

  def _expected_logits(self):
    numpy_decoder = NumpyDecoder(self.decoder)
    logits = []
    for features, ids, mask in zip(
        self.features, self.input_seqs, self.mask, strict=True
    ):
      c, h = numpy_decoder.start(features)
      for word_id in ids[: mask.sum()]:
        word_logits, c, h = numpy_decoder.logits(word_id, c, h)
        logits.append(word_logits)
    return np.stack(logits)

  @parameterized.named_parameters(
      ("eager", lambda function: function),
      ("graph", lambda function: tf.function(function, autograph=False)),
  )
  def test_logits_equal_numpy(self, wrap):
    logits = wrap(self.decoder.word_logits)(
        self.features, self.input_seqs, self.mask
    )
    self.assertEqual((5, 7), logits.shape)  # Five words are not masked.
    self.assertAllClose(self._expected_logits(), logits, 1e-5, 1e-5)

  @parameterized.parameters(None, 0.0)
  def test_logits_at_padding_too(self, sampling_probability):
    arguments = self.features, self.input_seqs, self.mask
    options = {
        "dropout_seed": tf.constant([3, 4]),
        "sampling_probability": sampling_probability,
    }
    expected = self.decoder.word_logits(*arguments, **options)
    logits = self.decoder.word_logits(*arguments, at_padding=True, **options)
    self.assertEqual([6, 7], logits.shape)
    self.assertAllClose(expected, tf.gather(logits, [0, 1, 2, 3, 4]))

  def test_logits_in_a_dataset(self):
    dataset = tf.data.Dataset.from_tensors(
        (self.features, self.input_seqs, self.mask)
    ).map(self.decoder.word_logits)
    self.assertAllClose(
        self._expected_logits(), next(iter(dataset)), 1e-5, 1e-5
    )

  def test_steps_equal_logits(self):
    logits = self.decoder.word_logits(self.features, self.input_seqs, self.mask)
    state = self.decoder.initial_state(self.features)
    self.assertEqual((2, 6), state.shape)
    for step in range(2):
      probabilities, state = self.decoder.decode_step(
          self.input_seqs[:, step], state
      )
      # The logits of the second caption come after the three of the first.
      expected = tf.nn.softmax(tf.gather(logits, [step, 3 + step]))
      self.assertAllClose(expected, probabilities, 1e-5)

  def test_dropout_depends_on_the_seed_alone(self):
    draw = lambda seed: self.decoder.word_logits(
        self.features,
        self.input_seqs,
        self.mask,
        dropout_seed=tf.constant(seed),
    )
    self.assertAllEqual(draw([1, 2]), draw([1, 2]))
    self.assertNotAllClose(draw([1, 2]), draw([1, 3]))
    self.assertNotAllClose(draw([1, 2]), self._expected_logits())

  def test_no_dropout_at_keep_prob_1(self):
    decoder = self._decoder(keep_prob=1.0)
    arguments = self.features, self.input_seqs, self.mask
    self.assertAllClose(
        decoder.word_logits(*arguments),
        decoder.word_logits(*arguments, dropout_seed=tf.constant([1, 2])),
    )

  def test_sampling_probability_0_is_teacher_forcing(self):
    arguments = self.features, self.input_seqs, self.mask
    seed = tf.constant([1, 2])
    self.assertAllEqual(
        self.decoder.word_logits(*arguments, dropout_seed=seed),
        self.decoder.word_logits(
            *arguments,
            dropout_seed=seed,
            sampling_probability=tf.constant(0.0),
        ),
    )

  @parameterized.named_parameters(
      ("eager", lambda function: function),
      ("graph", lambda function: tf.function(function, autograph=False)),
  )
  def test_sampled_words_are_those_predicted_under_dropout(self, wrap):
    # Each prediction is so certain that drawing gives the most likely word.
    self.decoder.logits_weights.assign(1e4 * self.decoder.logits_weights)
    seed = tf.constant([3, 4])
    sampled = wrap(self.decoder.word_logits)(
        self.features,
        self.input_seqs,
        self.mask,
        dropout_seed=seed,
        sampling_probability=tf.constant(1.0),
    )
    words = tf.argmax(sampled, axis=1).numpy()
    fed = np.array([[1, words[0], words[1]], [1, words[3], 0]])
    self.assertNotAllEqual(self.input_seqs, fed)
    self.assertAllClose(
        self.decoder.word_logits(
            self.features, fed, self.mask, dropout_seed=seed
        ),
        sampled,
        1e-4,
    )

  def test_sampled_words_get_the_gradients_of_fed_ones(self):
    self.decoder.logits_biases.assign([0.0, 0.0, 0.0, 0.0, 0.0, 1e4, 0.0])
    fed = np.array([[1, 5, 5], [1, 5, 0]])

    def gradients(input_seqs, **sampling):
      with tf.GradientTape() as tape:
        logits = self.decoder.word_logits(
            self.features,
            input_seqs,
            self.mask,
            dropout_seed=tf.constant([1, 2]),
            **sampling,
        )
        loss = tf.reduce_sum(logits[:, :3] ** 2)
      found = tape.gradient(loss, self.decoder.trainable_variables)
      return [tf.convert_to_tensor(g) for g in found]

    sampled = gradients(self.input_seqs, sampling_probability=tf.constant(1.0))
    for expected, actual in zip(gradients(fed), sampled, strict=True):
      self.assertAllClose(expected, actual)

  def test_initial_values(self):
    decoder = self._decoder(seed=5, scale=0.5)
    self.assertAllEqual(tf.zeros([12]), decoder.lstm_bias)
    self.assertAllEqual(tf.zeros([7]), decoder.logits_biases)
    self.assertAllInRange(decoder.lstm_kernel, -0.5, 0.5)
    self.assertGreater(tf.reduce_max(tf.abs(decoder.lstm_kernel)), 0.4)
    self.assertAllEqual(
        decoder.word_embedding, self._decoder(5, 5, 0.5).word_embedding
    )
    self.assertNotAllClose(
        decoder.word_embedding, self._decoder(seed=6, scale=0.5).word_embedding
    )

  def test_names_and_shapes(self):
    self.assertEqual(
        {
            "image_embedding/weights": (5, 4),
            "seq_embedding/map": (7, 4),
            "lstm/basic_lstm_cell/kernel": (4 + 3, 4 * 3),
            "lstm/basic_lstm_cell/bias": (4 * 3,),
            "logits/weights": (3, 7),
            "logits/biases": (7,),
        },
        {n: tuple(v.shape) for n, v in self.decoder.variables_by_name.items()},
    )


if __name__ == "__main__":
  tf.test.main()
