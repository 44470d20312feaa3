"""Flags that are on, off, or decided by the program.

    --jit_compile --jit_compile=true      on
    --nojit_compile --jit_compile=false   off
    --jit_compile=auto                    as the program decides, by default

So a flag that was on or off once keeps all its spellings.
"""

from absl import flags

_VALUES = {
    "auto": "auto",
    "true": "true",
    "t": "true",
    "1": "true",
    "false": "false",
    "f": "false",
    "0": "false",
}


class _Parser(flags.ArgumentParser):
  """Parses the value of such a flag."""

  syntactic_help = "auto|true|false"

  def parse(self, argument: str | bool) -> str:
    """Returns "auto", "true" or "false"; raises a ValueError for others."""
    try:
      return _VALUES[str(argument).lower()]
    except KeyError:
      raise ValueError("it is auto, true or false") from None

  def flag_type(self) -> str:
    """See `flags.ArgumentParser`."""
    return "auto|true|false"


def make(name: str, text: str) -> flags.Flag[str]:
  """Makes a flag, for `flags.DEFINE_flag`.

  Args:
    name: The name of the flag.
    text: What `--help` says of it.

  Returns:
    The flag. Its value is "auto", "true" or "false", by default "auto".
  """
  flag = flags.Flag(_Parser(), flags.ArgumentSerializer(), name, "auto", text)
  flag.boolean = True  # So it may stand without a value, and after "no".
  return flag
