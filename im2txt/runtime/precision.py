"""Precisions to compute in: float32, bfloat16, and float16 in training.

In training, convolutions and matrix products take and return the narrower type;
the decoder's activations, the statistics of batch normalization and the loss
stay in float32. Variables are float32 as well, so checkpoints do not depend on
the precision.

bfloat16 is for GPUs and for processors that have it, float16 for GPUs. float16
can't represent numbers as small as gradients are, so the loss is scaled there;
see `LossScale`.
"""

from absl import logging
import tensorflow as tf

PRECISIONS = ("float32", "bfloat16")
TRAINING_PRECISIONS = (*PRECISIONS, "float16")

# Linux' names of the instructions without which bfloat16 is slow. Intel's
# avx512_bf16 is not among them: it computes no more per cycle than float32, and
# the casts make training 1.5 times slower. Virtual machines often hide AMX.
_BFLOAT16_FLAGS = {"amx_bf16", "bf16"}
_BFLOAT16_FLAGS_OF_AMD = _BFLOAT16_FLAGS | {"avx512_bf16"}

# Chosen by Micikevicius et al. (arXiv 1710.03740) and used by all frameworks:
# too large at first, then halved until nothing overflows.
_INITIAL_SCALE = 2.0**15
_STEPS_UNTIL_DOUBLED = 2000
_SMALLEST_SCALE = 1.0


def training_dtype(name: str) -> tf.DType:
  """Returns the type to train in, with a warning where it saves no time.

  Args:
    name: One of `TRAINING_PRECISIONS`.

  Returns:
    The data type; float32 in place of float16 where there is no GPU.

  Raises:
    ValueError: If it is not one of them.
  """
  if name not in TRAINING_PRECISIONS:
    raise ValueError(
        f"The precisions are {', '.join(TRAINING_PRECISIONS)}. Got: {name!r}."
    )
  has_gpu = bool(tf.config.list_physical_devices("GPU"))
  if name == "float16" and not has_gpu:
    logging.warning("float16 needs a GPU; float32 is used instead.")
    return tf.float32
  if name != "float16" and not has_gpu:
    check(name)
  return tf.as_dtype(name)


class LossScale(tf.Module):
  """A factor for the loss that keeps small gradients from vanishing.

  When a gradient overflows, the factor is halved and the step skipped. After
  many steps without an overflow it is doubled (arXiv 1710.03740, section 3.2).

  Attributes:
    variables_by_name: The factor and the number of steps since it changed.
  """

  def __init__(self, initial_scale: float | None = None):
    """Creates the variables; must be called in the strategy's scope."""
    super().__init__()
    self._scale = _variable(
        initial_scale or _INITIAL_SCALE, tf.float32, "loss_scale"
    )
    self._steps = _variable(0, tf.int32, "loss_scale/steps")
    self.variables_by_name = {
        "loss_scale": self._scale,
        "loss_scale/steps": self._steps,
    }

  @property
  def factor(self) -> tf.Tensor:
    """The factor to multiply the loss by; a float32 scalar."""
    return self._scale.read_value()

  def update(self, is_finite: tf.Tensor) -> tf.Tensor:
    """Updates the factor after a step; must be called in replica context.

    Args:
      is_finite: Whether all gradients were finite; a bool scalar, the same on
        all replicas.

    Returns:
      Whether a smaller factor may prevent an overflow; a bool scalar.
    """
    scale, steps = self._scale.read_value(), self._steps.read_value() + 1
    is_doubled = steps >= _STEPS_UNTIL_DOUBLED
    grown = tf.where(is_doubled, scale * 2, scale)
    shrunk = tf.maximum(scale / 2, _SMALLEST_SCALE)
    new_steps = tf.where(is_doubled | ~is_finite, 0, steps)
    tf.raw_ops.AssignVariableOp(
        resource=self._scale.handle, value=tf.where(is_finite, grown, shrunk)
    )
    tf.raw_ops.AssignVariableOp(resource=self._steps.handle, value=new_steps)
    return scale > _SMALLEST_SCALE


def _variable(value, dtype: tf.DType, name: str) -> tf.Variable:
  return tf.Variable(
      value,
      dtype=dtype,
      trainable=False,
      name=name,
      aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
  )


def check(precision: str, *, cpuinfo: str = "/proc/cpuinfo") -> None:
  """Checks a precision, and logs a warning where it saves no time.

  Args:
    precision: "float32" or "bfloat16".
    cpuinfo: Linux' file that describes the processor. If it is missing, there
      is no warning.

  Raises:
    ValueError: If `precision` is neither of the two.
  """
  if precision not in PRECISIONS:
    raise ValueError(
        f"The precisions are {' and '.join(PRECISIONS)}. Got: {precision!r}."
    )
  if precision == "bfloat16" and not _is_bfloat16_fast(cpuinfo):
    logging.warning(
        "This processor has no fast instructions for bfloat16 (AMX, or"
        " avx512_bf16 of AMD), so bfloat16 is not faster than float32."
    )


def _is_bfloat16_fast(cpuinfo: str) -> bool:
  try:
    with open(cpuinfo, encoding="utf-8") as file:
      words = file.read().split()
  except OSError:
    return True
  flags = _BFLOAT16_FLAGS
  if "AuthenticAMD" in words:
    flags = _BFLOAT16_FLAGS_OF_AMD
  return not flags.isdisjoint(words)
