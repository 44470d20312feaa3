"""The flags of the search for captions, of all programs that search.

A program adopts them, which lists them in its --help:

    flags.adopt_module_key_flags(search_flags)
"""

from typing import Any

from absl import flags

_BEAM_SIZE = flags.DEFINE_integer(
    "beam_size", 3, "How many captions to search for.", lower_bound=1
)
_MAX_CAPTION_LENGTH = flags.DEFINE_integer(
    "max_caption_length",
    20,
    "The most words of a caption, with the start and the end word.",
    lower_bound=1,
)
_LENGTH_NORMALIZATION_FACTOR = flags.DEFINE_float(
    "length_normalization_factor",
    0.0,
    "If positive, captions are ranked by their log-probability over their"
    " length to this power: the greater, the longer the captions.",
)

HOLDERS = (_BEAM_SIZE, _MAX_CAPTION_LENGTH, _LENGTH_NORMALIZATION_FACTOR)


def options() -> Any:
  """Returns the values of the flags, as `captioning.SearchOptions`."""
  return {
      "beam_size": _BEAM_SIZE.value,
      "max_caption_length": _MAX_CAPTION_LENGTH.value,
      "length_normalization_factor": _LENGTH_NORMALIZATION_FACTOR.value,
  }
