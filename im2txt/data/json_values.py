"""Reads JSON and the values in it, with errors that a user can act on.

Python's parser has limits of its own, on the depth of lists and on the digits
of a number; what exceeds them is refused here in terms of the file.
"""

import json
import math
import re
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}(?:\.0*)?")
_MAX_DIGITS = 1000
# Above it a float stands for several integers.
_LARGEST_EXACT = 2.0**53


def parse(content: str | bytes) -> Any:
  """Parses a text of JSON.

  Args:
    content: The text; bytes in UTF-8, UTF-16 or UTF-32.

  Returns:
    Its value.

  Raises:
    ValueError: If it is not JSON; the message has the line and the column.
  """
  try:
    return json.loads(content, parse_int=_parse_int)
  except json.JSONDecodeError as error:
    raise ValueError(
        f"line {error.lineno}, column {error.colno}: {error.msg}"
    ) from None
  except UnicodeDecodeError as error:
    line = error.object.count(b"\n", 0, error.start) + 1
    raise ValueError(f"line {line} is not UTF-8") from None
  except RecursionError:
    raise ValueError("its lists or objects are nested too deeply") from None


def image_id(value: Any) -> int | None:
  """Returns the integer that a value says.

  Args:
    value: An id as JSON or a table has it: 101, "101", or 101.0, which pandas
      writes for a column of integers with a gap.

  Returns:
    The id; None for a gap: null, NaN or an empty text.

  Raises:
    ValueError: If it is something else, or does not fit into 64 bits.
  """
  if isinstance(value, str):
    value = value.strip()
    if value.lower() in ("", "nan", "null", "none"):
      return None
    if _INTEGER.fullmatch(value):
      value = int(value.partition(".")[0])
    else:
      value = _float(value)
  if value is None or (isinstance(value, float) and math.isnan(value)):
    return None
  if (
      isinstance(value, float)
      and value.is_integer()
      and abs(value) <= _LARGEST_EXACT
  ):
    value = int(value)
  if type(value) is not int or not -(2**63) <= value < 2**63:
    raise ValueError(f"an image id must be a 64-bit integer. Got: {value!r}.")
  return value


def required_image_id(value: Any) -> int:
  """Returns an id as `image_id` does; raises a ValueError for a gap too."""
  found = image_id(value)
  if found is None:
    raise ValueError(f"an image id must be a 64-bit integer. Got: {value!r}.")
  return found


def text(value: Any, what: str) -> str:
  """Returns a text that can be written.

  Args:
    value: What should be one.
    what: What it is, for the message.

  Returns:
    The value.

  Raises:
    ValueError: If it is not a string, or has half a surrogate pair, which JSON
      can hold and UTF-8 can't.
  """
  if not isinstance(value, str):
    raise ValueError(f"{what} must be a string. Got: {value!r}.")
  if _SURROGATE.search(value):
    raise ValueError(
        f"{what} has half a character, \\ud800 to \\udfff; take it out. Got:"
        f" {value!r}."
    )
  return value


def _parse_int(digits: str) -> int:
  if len(digits) > _MAX_DIGITS:
    raise ValueError(f"a number of {len(digits)} digits is too large")
  return int(digits)


def _float(value: str) -> float | str:
  """Returns the number that a text says, or else the text."""
  try:
    return float(value) if value.isascii() and "_" not in value else value
  except ValueError:
    return value
