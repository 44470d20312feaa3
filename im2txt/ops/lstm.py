"""The decoder's LSTM, in the layout of the released checkpoints.

The cell of Zaremba et al. (arXiv 1409.2329), without peepholes. With the input
`x` and the output `h` of the previous step,

    i, j, f, o = split([x, h] . kernel + bias)
    c = sigmoid(f + 1) * c + sigmoid(i) * tanh(j)
    h = sigmoid(o) * tanh(c)

The first rows of `kernel` belong to `x` and the others to `h`. Since 1 is added
to the forget gate at run time, `bias` starts at zero. A state is the
concatenation of `c` and `h`, as in the released inference graph.

Only the matrix products are computed in the dtype of `kernel`, which may be
narrower than float32. Everything else is computed in float32.
"""

import tensorflow as tf

_FORGET_BIAS = 1.0


def lstm_step(
    inputs: tf.Tensor, state: tf.Tensor, *, kernel: tf.Tensor, bias: tf.Tensor
) -> tf.Tensor:
  """Computes one step of the cell.

  Args:
    inputs: A float32 Tensor of shape [batch_size, input_size].
    state: A float32 Tensor of shape [batch_size, 2 * num_units].
    kernel: A float Tensor of shape [input_size + num_units, 4 * num_units].
    bias: A float32 Tensor of shape [4 * num_units].

  Returns:
    The new state, a float32 Tensor of the shape of `state`. Its second half is
    the output of the step.
  """
  c, h = tf.split(state, 2, axis=1)
  gates = matmul(tf.concat([inputs, h], axis=1), kernel)
  return tf.concat(_activate(tf.nn.bias_add(gates, bias), c), axis=1)


def lstm_outputs(
    inputs: tf.Tensor, *, kernel: tf.Tensor, bias: tf.Tensor
) -> tf.Tensor:
  """Returns the outputs of all steps of a batch, from a zero state.

  One matrix product projects the inputs of all steps. The loop over time
  contains only the product that depends on the previous step.

  Args:
    inputs: A float32 Tensor of shape [batch_size, num_steps, input_size].
    kernel: A float Tensor of shape [input_size + num_units, 4 * num_units].
    bias: A float32 Tensor of shape [4 * num_units].

  Returns:
    A float32 Tensor of shape [batch_size, num_steps, num_units].
  """
  num_units = kernel.shape[1] // 4
  input_kernel, recurrent_kernel = tf.split(
      kernel, [kernel.shape[0] - num_units, num_units]
  )
  inputs = tf.transpose(tf.cast(inputs, kernel.dtype), [1, 0, 2])  # By time.
  projected = tf.cast(tf.tensordot(inputs, input_kernel, 1), bias.dtype)
  projected = tf.nn.bias_add(projected, bias)
  return tf.transpose(_recur(projected, recurrent_kernel), [1, 0, 2])


@tf.custom_gradient
def _recur(projected: tf.Tensor, recurrent_kernel: tf.Tensor):
  """Returns the outputs of all steps of a batch, from a zero state.

  TensorFlow's own gradient of the loop would store each intermediate value in a
  list of its own, which takes about 1,000 more operations for a caption of 20
  words, and would compute a product for the kernel at each step. Here the
  forward loop stores only the gates and the cells. Everything that does not
  depend on the next step is computed for all steps at once, including the
  product for the kernel.

  Args:
    projected: A float32 Tensor of shape [num_steps, batch_size, 4 * num_units];
      the contribution of the inputs and the bias to the gates.
    recurrent_kernel: A float Tensor of shape [num_units, 4 * num_units].

  Returns:
    A float32 Tensor of shape [num_steps, batch_size, num_units], and its
    gradient function.
  """
  gates, cells = _forward_loop(projected, recurrent_kernel)
  i, j, f, o = _gate_activations(*tf.split(gates, 4, axis=2))
  tanh_cells = tf.tanh(cells)
  outputs = o * tanh_cells

  def gradient(outputs_gradient: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    old_cells = tf.pad(cells[:-1], [[1, 0], [0, 0], [0, 0]])
    gates_by_cells = [j * i * (1 - i), i * (1 - j * j), old_cells * f * (1 - f)]
    gates_by_outputs = tanh_cells * o * (1 - o)
    cells_by_outputs = o * (1 - tanh_cells * tanh_cells)
    gates_gradient = _backward_loop(
        outputs_gradient,
        cells_by_outputs,
        f,
        tf.concat([*gates_by_cells, gates_by_outputs], axis=2),
        recurrent_kernel,
    )
    # The first step's state is zero.
    kernel_gradient = tf.tensordot(
        tf.cast(outputs[:-1], recurrent_kernel.dtype),
        tf.cast(gates_gradient[1:], recurrent_kernel.dtype),
        [[0, 1], [0, 1]],
    )
    return gates_gradient, kernel_gradient

  return outputs, gradient


def _forward_loop(
    projected: tf.Tensor, recurrent_kernel: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the inputs of the gates, and the cells, of all steps.

  Args:
    projected: A float32 Tensor of shape [num_steps, batch_size, 4 * num_units];
      see `_recur`.
    recurrent_kernel: A float Tensor of shape [num_units, 4 * num_units].

  Returns:
    gates: A float32 Tensor of shape [num_steps, batch_size, 4 * num_units].
    cells: A float32 Tensor of shape [num_steps, batch_size, num_units].
  """
  num_units = recurrent_kernel.shape[0]
  num_steps, batch_size = tf.unstack(tf.shape(projected)[:2])
  zeros = tf.zeros([batch_size, num_units], projected.dtype)

  def step(time, c, h, all_gates, cells):
    gates = tf.gather(projected, time) + matmul(h, recurrent_kernel)
    c, h = _activate(gates, c)
    return (
        time + 1,
        c,
        h,
        all_gates.write(time, gates),
        cells.write(time, c),
    )

  *_, all_gates, cells = tf.while_loop(
      lambda time, *_: time < num_steps,
      step,
      (
          0,
          zeros,
          zeros,
          _steps(num_steps, 4 * num_units, projected.dtype),
          _steps(num_steps, num_units, projected.dtype),
      ),
  )
  return all_gates.stack(), cells.stack()


def _backward_loop(
    outputs_gradient: tf.Tensor,
    cells_by_outputs: tf.Tensor,
    forget_gates: tf.Tensor,
    gates_by_cells_and_outputs: tf.Tensor,
    recurrent_kernel: tf.Tensor,
) -> tf.Tensor:
  """Returns the gradients of the inputs of the gates of all steps.

  With the gradients `dh` of a step's output and `dc` of its cell,

    dh = outputs_gradient + dgates(next step) . transpose(recurrent_kernel)
    dc = cells_by_outputs * dh + forget_gates(next step) * dc(next step)
    dgates = gates_by_cells_and_outputs * [dc, dc, dc, dh]

  Args:
    outputs_gradient: A float32 Tensor of shape [num_steps, batch_size,
      num_units]; the gradient of the outputs.
    cells_by_outputs: A float32 Tensor of the same shape; the derivatives of the
      outputs with respect to the cells.
    forget_gates: A float32 Tensor of the same shape; the activations of the
      forget gates.
    gates_by_cells_and_outputs: A float32 Tensor of shape [num_steps,
      batch_size, 4 * num_units]; the derivatives of the cells with respect to
      the inputs of the first three gates, and those of the outputs with respect
      to the input of the last gate.
    recurrent_kernel: A float Tensor of shape [num_units, 4 * num_units].

  Returns:
    A float32 Tensor of shape [num_steps, batch_size, 4 * num_units].
  """
  num_units = recurrent_kernel.shape[0]
  num_steps, batch_size = tf.unstack(tf.shape(outputs_gradient)[:2])
  dtype = outputs_gradient.dtype
  # Concatenated, so that each step reads all of them with one operation.
  factors = tf.concat(
      [
          outputs_gradient,
          cells_by_outputs,
          forget_gates,
          gates_by_cells_and_outputs,
      ],
      axis=2,
  )

  def step(time, carried_dc, dgates, all_dgates):
    output_gradient, cell_by_output, forget_gate, gate_factors = tf.split(
        tf.gather(factors, time),
        [num_units, num_units, num_units, 4 * num_units],
        axis=1,
    )
    dh = output_gradient + matmul(dgates, recurrent_kernel, transpose_b=True)
    dc = cell_by_output * dh + carried_dc
    dgates = gate_factors * tf.concat([dc, dc, dc, dh], axis=1)
    return time - 1, forget_gate * dc, dgates, all_dgates.write(time, dgates)

  *_, all_dgates = tf.while_loop(
      lambda time, *_: time >= 0,
      step,
      (
          num_steps - 1,
          tf.zeros([batch_size, num_units], dtype),
          tf.zeros([batch_size, 4 * num_units], dtype),
          _steps(num_steps, 4 * num_units, dtype),
      ),
  )
  return all_dgates.stack()


def matmul(values: tf.Tensor, kernel: tf.Tensor, **options) -> tf.Tensor:
  """Multiplies in the dtype of `kernel`; the result has that of `values`."""
  product = tf.matmul(tf.cast(values, kernel.dtype), kernel, **options)
  return tf.cast(product, values.dtype)


def _steps(num_steps, size: int, dtype: tf.DType) -> tf.TensorArray:
  """Returns an empty array for one [batch_size, size] Tensor per step."""
  return tf.TensorArray(dtype, num_steps, element_shape=[None, size])


def _activate(gates: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the new `c` and `h` from the gates' inputs and the old `c`."""
  i, j, f, o = _gate_activations(*tf.split(gates, 4, axis=1))
  c = f * c + i * j
  return c, o * tf.tanh(c)


def _gate_activations(i, j, f, o) -> tuple[tf.Tensor, ...]:
  """Returns the activations of the gates from their inputs."""
  return (
      tf.sigmoid(i),
      tf.tanh(j),
      tf.sigmoid(f + _FORGET_BIAS),
      tf.sigmoid(o),
  )
