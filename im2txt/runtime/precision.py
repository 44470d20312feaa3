"""The types to compute in, and whether the processor is made for them."""

from absl import logging

PRECISIONS = ("float32", "bfloat16")

# What Linux calls the instructions without which bfloat16 is slow.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def check(precision: str, *, cpuinfo: str = "/proc/cpuinfo") -> None:
  """Checks a precision, with a warning in the log where it saves no time.

  Args:
    precision: "float32" or "bfloat16".
    cpuinfo: Where Linux describes the processor. Without that file nobody is
      warned.

  Raises:
    ValueError: If `precision` is none of the two.
  """
  if precision not in PRECISIONS:
    raise ValueError(
        f"The precisions are {' and '.join(PRECISIONS)}. Got: {precision!r}."
    )
  if precision == "bfloat16" and not _has_bfloat16(cpuinfo):
    logging.warning(
        "This processor has no instructions for bfloat16 (avx512_bf16 or AMX):"
        " it is no faster here than float32."
    )


def _has_bfloat16(cpuinfo: str) -> bool:
  try:
    with open(cpuinfo, encoding="utf-8") as file:
      return not _BFLOAT16_FLAGS.isdisjoint(file.read().split())
  except OSError:
    return True
