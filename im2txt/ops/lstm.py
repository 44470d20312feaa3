"""The decoder's LSTM, in the layout of the released checkpoints.

The cell of Zaremba et al. (arXiv 1409.2329), without peepholes. With `x` the
input and `h` the output of the step before,

    i, j, f, o = split([x, h] . kernel + bias)
    c = sigmoid(f + 1) * c + sigmoid(i) * tanh(j)
    h = sigmoid(o) * tanh(c)

The rows of `kernel` are those of `x` and then those of `h`; 1 is added to the
forget gate at run time, so `bias` starts at zero. A state is `c` and then `h`
side by side, as clients of the released inference graph feed it.
"""

import tensorflow as tf

_FORGET_BIAS = 1.0


def lstm_step(
    inputs: tf.Tensor, state: tf.Tensor, *, kernel: tf.Tensor, bias: tf.Tensor
) -> tf.Tensor:
  """One step of the cell.

  Args:
    inputs: A float32 Tensor of shape [batch_size, input_size].
    state: A float32 Tensor of shape [batch_size, 2 * num_units].
    kernel: A float32 Tensor of shape [input_size + num_units, 4 * num_units].
    bias: A float32 Tensor of shape [4 * num_units].

  Returns:
    The new state, whose second half is the output of the step; a float32
    Tensor of the shape of `state`.
  """
  c, h = tf.split(state, 2, axis=1)
  gates = tf.matmul(tf.concat([inputs, h], axis=1), kernel)
  return tf.concat(_activate(tf.nn.bias_add(gates, bias), c), axis=1)


def lstm_outputs(
    inputs: tf.Tensor, *, kernel: tf.Tensor, bias: tf.Tensor
) -> tf.Tensor:
  """The outputs of all steps of a batch of sequences, from a zero state.

  One matrix product projects the inputs of all steps; the loop over time holds
  only the product that needs the step before.

  Args:
    inputs: A float32 Tensor of shape [batch_size, num_steps, input_size].
    kernel: A float32 Tensor of shape [input_size + num_units, 4 * num_units].
    bias: A float32 Tensor of shape [4 * num_units].

  Returns:
    A float32 Tensor of shape [batch_size, num_steps, num_units].
  """
  num_units = kernel.shape[1] // 4
  input_kernel, recurrent_kernel = tf.split(
      kernel, [kernel.shape[0] - num_units, num_units]
  )
  inputs = tf.transpose(inputs, [1, 0, 2])  # By time.
  projected = tf.nn.bias_add(tf.tensordot(inputs, input_kernel, 1), bias)
  return tf.transpose(_recur(projected, recurrent_kernel), [1, 0, 2])


@tf.custom_gradient
def _recur(projected: tf.Tensor, recurrent_kernel: tf.Tensor):
  """The outputs of all steps of a batch of sequences, from a zero state.

  The loop's own gradient would add up a product for the kernel at each step;
  here one product after the loop gives the same sum.

  Args:
    projected: A float32 Tensor of shape [num_steps, batch_size, 4 * num_units],
      what the inputs and the bias give to the gates.
    recurrent_kernel: A float32 Tensor of shape [num_units, 4 * num_units].

  Returns:
    A float32 Tensor of shape [num_steps, batch_size, num_units], and its
    gradient function.
  """
  with tf.GradientTape() as tape:
    tape.watch(projected)
    outputs = _loop(projected, tf.stop_gradient(recurrent_kernel))

  def gradient(outputs_gradient: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    projected_gradient = tape.gradient(
        outputs, projected, output_gradients=outputs_gradient
    )
    # The first step's state is zero.
    kernel_gradient = tf.tensordot(
        outputs[:-1], projected_gradient[1:], [[0, 1], [0, 1]]
    )
    return projected_gradient, kernel_gradient

  return outputs, gradient


def _loop(projected: tf.Tensor, recurrent_kernel: tf.Tensor) -> tf.Tensor:
  """The forward pass of `_recur`."""
  num_units = recurrent_kernel.shape[0]
  num_steps, batch_size = tf.unstack(tf.shape(projected)[:2])
  steps = tf.TensorArray(projected.dtype, num_steps).unstack(projected)
  outputs = tf.TensorArray(
      projected.dtype, num_steps, element_shape=[None, num_units]
  )
  zeros = tf.zeros([batch_size, num_units], projected.dtype)

  def step(time, c, h, outputs):
    gates = steps.read(time) + tf.matmul(h, recurrent_kernel)
    c, h = _activate(gates, c)
    return time + 1, c, h, outputs.write(time, h)

  *_, outputs = tf.while_loop(
      lambda time, *_: time < num_steps,
      step,
      (0, zeros, zeros, outputs),
      shape_invariants=(
          tf.TensorShape([]),
          tf.TensorShape([None, num_units]),
          tf.TensorShape([None, num_units]),
          tf.TensorShape(None),
      ),
      maximum_iterations=num_steps,  # XLA has to know it.
  )
  return outputs.stack()


def _activate(gates: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """The new `c` and `h` from the gates' inputs and the old `c`."""
  i, j, f, o = tf.split(gates, 4, axis=1)
  c = tf.sigmoid(f + _FORGET_BIAS) * c + tf.sigmoid(i) * tf.tanh(j)
  return c, tf.sigmoid(o) * tf.tanh(c)
