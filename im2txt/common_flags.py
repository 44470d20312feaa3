"""Flags that several programs have.

A program defines those that it wants:

    _ALLOW_MISSING_SHARDS = flags.DEFINE_flag(
        common_flags.allow_missing_shards()
    )

The flags of the search and of metrics are in `search_flags` and `metric_flags`.
"""

from absl import flags


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
