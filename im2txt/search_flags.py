"""The flags of beam search, for all programs that generate captions.

A program adopts them, so that its --help lists them:

    flags.adopt_module_key_flags(search_flags)
"""

from typing import Any

from absl import flags

_BEAM_SIZE = flags.DEFINE_integer(
    "beam_size",
    3,
    "Beam size: number of captions that the search keeps per image.",
    lower_bound=1,
)
_MAX_CAPTION_LENGTH = flags.DEFINE_integer(
    "max_caption_length",
    20,
    "Maximum number of words per caption, including the start and end word.",
    lower_bound=1,
)
_LENGTH_NORMALIZATION_FACTOR = flags.DEFINE_float(
    "length_normalization_factor",
    0.0,
    "If positive, captions are ranked by log-probability divided by length to"
    " the power of this factor. Larger values favour longer captions.",
)

HOLDERS = (_BEAM_SIZE, _MAX_CAPTION_LENGTH, _LENGTH_NORMALIZATION_FACTOR)


def options() -> Any:
  """Returns the values of the flags, as `captioning.SearchOptions`."""
  return {
      "beam_size": _BEAM_SIZE.value,
      "max_caption_length": _MAX_CAPTION_LENGTH.value,
      "length_normalization_factor": _LENGTH_NORMALIZATION_FACTOR.value,
  }
