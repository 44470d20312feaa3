"""Training in bfloat16, where that is precise enough, and float32 elsewhere.

TensorFlow's graph optimizer does it: convolutions and matrix products take and
give bfloat16, casts are put where they are needed, and sums, the statistics of
batch normalisation and the loss stay in float32. Variables do too, so that
checkpoints are the same as ever.
"""

from absl import logging
import tensorflow as tf

PRECISIONS = ("float32", "bfloat16")

# What Linux calls the instructions without which bfloat16 is slow.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def use(precision: str, *, cpuinfo: str = "/proc/cpuinfo") -> None:
  """Makes all graphs of this process compute in a precision.

  Args:
    precision: "float32" or "bfloat16".
    cpuinfo: Where Linux describes the processor.

  Raises:
    ValueError: If `precision` is none of the two.
  """
  if precision not in PRECISIONS:
    raise ValueError(
        f"The precisions are {' and '.join(PRECISIONS)}. Got: {precision!r}."
    )
  if precision == "bfloat16" and not _has_bfloat16(cpuinfo):
    logging.warning(
        "This processor has no instructions for bfloat16 (avx512_bf16 or AMX),"
        " so --mixed_precision=bfloat16 saves no time here."
    )
  tf.config.optimizer.set_experimental_options(
      {"auto_mixed_precision_onednn_bfloat16": precision == "bfloat16"}
  )


def _has_bfloat16(cpuinfo: str) -> bool:
  try:
    with open(cpuinfo, encoding="utf-8") as file:
      return not _BFLOAT16_FLAGS.isdisjoint(file.read().split())
  except OSError:  # Only Linux has that file; elsewhere nobody is warned.
    return True
