"""Flags that several programs have.

A program defines those that it wants:

    _ALLOW_MISSING_SHARDS = flags.DEFINE_flag(
        common_flags.allow_missing_shards()
    )

An `automatic_flag` is on, off, or decided by the program; it keeps the
spellings of a flag that was on or off once:

    --jit_compile --jit_compile=true      on
    --nojit_compile --jit_compile=false   off
    --jit_compile=auto                    decided by the program, by default

The flags of the search and of metrics are in `search_flags` and `metric_flags`.
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


def automatic_flag(name: str, text: str) -> flags.Flag[str]:
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


def allow_missing_shards() -> flags.Flag[bool]:
  """Makes the flag of the programs that read records or features."""
  return flags.BooleanFlag(
      "allow_missing_shards",
      False,
      "Whether to read a data set of which some of the files that their names"
      " count (train-00000-of-00256) are missing. By default that is an error.",
  )


def respect_exif_orientation() -> flags.Flag[bool]:
  """Makes the flag of the programs that read image files; see `image_files`."""
  return flags.BooleanFlag(
      "respect_exif_orientation",
      False,
      "Whether to turn JPEGs upright as their EXIF says. Off by default, as in"
      " the original. run_inference, serve and the builders of data have the"
      " same flag. Other formats are turned upright in any case.",
  )
