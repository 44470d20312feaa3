"""Tests of the LSTM against a step-by-step implementation in NumPy."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.ops import lstm


def _numpy_outputs(inputs, kernel, bias):
  """Returns all outputs in float64, one sequence and one step at a time."""
  sigmoid = lambda x: 1 / (1 + np.exp(-x))
  num_units = kernel.shape[1] // 4
  outputs = np.zeros((*inputs.shape[:2], num_units))
  for sequence, steps in zip(outputs, inputs, strict=True):
    c = h = np.zeros(num_units)
    for t, x in enumerate(steps):
      i, j, f, o = np.split(np.concatenate([x, h]) @ kernel + bias, 4)
      c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j)
      h = sigmoid(o) * np.tanh(c)
      sequence[t] = h
  return outputs


class LstmTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    rng = np.random.default_rng(1)
    self.inputs = rng.normal(size=(3, 5, 4))
    self.kernel = rng.normal(size=(4 + 2, 8))
    self.bias = rng.normal(size=8)
    self.weights = {
        "kernel": tf.constant(self.kernel, tf.float32),
        "bias": tf.constant(self.bias, tf.float32),
    }

  def test_one_step_by_hand(self):
    # One unit; input 1, c = 2, h = 1. The inputs of the gates are the column
    # sums of the kernel plus the bias: i = 0, j = 1, f = -1, o = 0.
    state = lstm.lstm_step(
        tf.constant([[1.0]]),
        tf.constant([[2.0, 1.0]]),
        kernel=tf.constant([[1.0, 0.0, -1.0, 2.0], [-1.0, 0.5, 0.0, -1.0]]),
        bias=tf.constant([0.0, 0.5, 0.0, -1.0]),
    )
    # c = sigmoid(-1 + 1) * 2 + sigmoid(0) * tanh(1) = 1 + 0.5 * 0.7615942
    # h = sigmoid(0) * tanh(1.3807971) = 0.5 * 0.8811297
    self.assertAllClose([[1.3807971, 0.4405648]], state)

  def test_forget_gate_is_open_at_the_start(self):
    state = lstm.lstm_step(
        tf.zeros([1, 1]),
        tf.constant([[1.0, 0.0]]),
        kernel=tf.zeros([2, 4]),
        bias=tf.zeros([4]),
    )
    self.assertAllClose(0.7310586, state[0, 0])  # sigmoid(0 + 1)

  @parameterized.named_parameters(
      ("eager", lambda function: function),
      ("graph", lambda function: tf.function(function, autograph=False)),
  )
  def test_outputs_equal_numpy(self, wrap):
    outputs = wrap(lambda x: lstm.lstm_outputs(x, **self.weights))(
        tf.constant(self.inputs, tf.float32)
    )
    self.assertAllClose(
        _numpy_outputs(self.inputs, self.kernel, self.bias), outputs, rtol=1e-5
    )

  def test_outputs_in_a_dataset(self):
    dataset = tf.data.Dataset.from_tensors(
        tf.constant(self.inputs, tf.float32)
    ).map(lambda x: lstm.lstm_outputs(x, **self.weights))
    self.assertAllClose(
        _numpy_outputs(self.inputs, self.kernel, self.bias),
        next(iter(dataset)),
        rtol=1e-5,
    )

  def test_steps_equal_outputs(self):
    outputs = lstm.lstm_outputs(
        tf.constant(self.inputs, tf.float32), **self.weights
    )
    state = tf.zeros([3, 4])
    for t in range(5):
      state = lstm.lstm_step(
          tf.constant(self.inputs[:, t], tf.float32), state, **self.weights
      )
      self.assertAllClose(outputs[:, t], state[:, 2:])

  @parameterized.named_parameters(
      ("eager", lambda function: function),
      ("graph", lambda function: tf.function(function, autograph=False)),
      ("xla", lambda f: tf.function(f, autograph=False, jit_compile=True)),
  )
  def test_gradient_equals_finite_differences(self, wrap):
    weights = [tf.constant(w, tf.float64) for w in (self.kernel, self.bias)]
    inputs = tf.constant(self.inputs, tf.float64)

    def loss(inputs, kernel, bias):
      outputs = lstm.lstm_outputs(inputs, kernel=kernel, bias=bias)
      return tf.reduce_sum(outputs**2)

    def gradients(*arguments):
      with tf.GradientTape() as tape:
        tape.watch(arguments)
        value = loss(*arguments)
      return tape.gradient(value, arguments)

    arguments = [inputs, *weights]
    _, numerical = tf.test.compute_gradient(loss, arguments, delta=1e-5)
    for expected, actual in zip(
        numerical, wrap(gradients)(*arguments), strict=True
    ):
      self.assertAllClose(expected[0], tf.reshape(actual, [-1]), atol=1e-8)

  @parameterized.parameters(tf.bfloat16, tf.float16)
  def test_narrow_products(self, dtype):
    inputs = tf.constant(self.inputs, tf.float32)
    outputs, gradients = [], []
    for kernel_dtype in (tf.float32, dtype):
      kernel, bias = self.weights["kernel"], self.weights["bias"]
      with tf.GradientTape() as tape:
        tape.watch([kernel, bias])
        output = lstm.lstm_outputs(
            inputs, kernel=tf.cast(kernel, kernel_dtype), bias=bias
        )
      outputs.append(output)
      gradients += tape.gradient(output, [kernel, bias])
    self.assertAllClose(*outputs, atol=0.02)
    # They were not computed in float32 after all.
    self.assertNotAllClose(*outputs, atol=1e-5)
    self.assertEqual({tf.float32}, {value.dtype for value in gradients})
    self.assertAllClose(gradients[:2], gradients[2:], atol=0.1)

  def test_any_number_of_steps_in_one_trace(self):
    outputs = tf.function(
        lambda x: lstm.lstm_outputs(x, **self.weights),
        input_signature=[tf.TensorSpec([None, None, 4])],
        autograph=False,
    )
    self.assertEqual((2, 7, 2), outputs(tf.ones([2, 7, 4])).shape)
    self.assertEqual((1, 1, 2), outputs(tf.ones([1, 1, 4])).shape)


if __name__ == "__main__":
  tf.test.main()
