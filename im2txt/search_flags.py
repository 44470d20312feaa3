"""The flags of the search for captions, of all programs that search.

A program adopts them, which lists them in its --help:

    flags.adopt_module_key_flags(search_flags)
"""

from typing import Any

from absl import flags

HOLDERS = (
    flags.DEFINE_integer(
        "beam_size", 3, "How many captions to search for.", lower_bound=1
    ),
    flags.DEFINE_integer(
        "max_caption_length",
        20,
        "The most words of a caption, with the start and the end word.",
        lower_bound=1,
    ),
    flags.DEFINE_float(
        "length_normalization_factor",
        0.0,
        "If positive, captions are ranked by their log-probability over their"
        " length to this power: the greater, the longer the captions.",
    ),
)


def options() -> Any:
  """Returns what the flags say, as `captioning.SearchOptions`."""
  return {holder.name: holder.value for holder in HOLDERS}
