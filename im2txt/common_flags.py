"""Flags that several programs share.

A program defines those that it needs:

    _ALLOW_MISSING_SHARDS = flags.DEFINE_flag(
        common_flags.allow_missing_shards()
    )

An `automatic_flag` is on, off, or decided by the program. It accepts the
spellings of a boolean flag too:

    --jit_compile --jit_compile=true      on
    --nojit_compile --jit_compile=false   off
    --jit_compile=auto                    decided by the program, by default

The flags of beam search and of metrics are in `search_flags` and
`metric_flags`.
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
  """Parser of the value of an automatic flag."""

  syntactic_help = "auto|true|false"

  def parse(self, argument: str | bool) -> str:
    """Returns "auto", "true" or "false"; raises a ValueError otherwise."""
    try:
      return _VALUES[str(argument).lower()]
    except KeyError:
      raise ValueError("it must be auto, true or false") from None

  def flag_type(self) -> str:
    """See `flags.ArgumentParser`."""
    return "auto|true|false"


def automatic_flag(name: str, text: str) -> flags.Flag[str]:
  """Returns an automatic flag, for `flags.DEFINE_flag`.

  Args:
    name: The name of the flag.
    text: The help text of the flag.

  Returns:
    The flag. Its value is "auto", "true" or "false", by default "auto".
  """
  flag = flags.Flag(_Parser(), flags.ArgumentSerializer(), name, "auto", text)
  flag.boolean = True  # Allows --name without a value, and --noname.
  return flag


def allow_missing_shards() -> flags.Flag[bool]:
  """Returns a flag for programs that read records or cached features."""
  return flags.BooleanFlag(
      "allow_missing_shards",
      False,
      "Whether to accept missing shards of a data set, such as only 200 files"
      " named train-?????-of-00256. By default, missing shards are an error.",
  )


def respect_exif_orientation() -> flags.Flag[bool]:
  """Returns a flag for programs that read image files; see `image_files`."""
  return flags.BooleanFlag(
      "respect_exif_orientation",
      False,
      "Whether to apply the EXIF orientation of JPEGs. Off by default, as in"
      " the original. It is always applied to other formats. Use the same value"
      " in run_inference, serve and the programs that build training data.",
  )
