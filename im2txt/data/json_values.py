"""Reads JSON and the values in it, with errors that a user can act on.

Python's parser limits the depth of lists and the number of digits. Values that
exceed these limits are rejected with an error that locates them in the file.
"""

import json
import math
import re
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}(?:\.0*)?")
_MAX_DIGITS = 1000
# Larger floats represent several integers.
_LARGEST_EXACT = 2.0**53


def parse(content: str | bytes) -> Any:
  """Parses JSON text.

  Args:
    content: The text; if bytes, in UTF-8, UTF-16 or UTF-32.

  Returns:
    The parsed value.

  Raises:
    ValueError: If the text is not valid JSON. The message has the line and the
      column.
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
  """Converts a value to an image id.

  Args:
    value: An id from JSON or a table: 101, "101", or 101.0, which pandas writes
      for a column of integers with missing values.

  Returns:
    The id; None for a missing value: null, NaN or an empty text.

  Raises:
    ValueError: If the value is not an integer or does not fit into 64 bits.
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
  """Converts a value like `image_id`, but rejects missing values too."""
  result = image_id(value)
  if result is None:
    raise ValueError(f"an image id must be a 64-bit integer. Got: {value!r}.")
  return result


def text(value: Any, what: str) -> str:
  """Checks that a value is a string that can be encoded as UTF-8.

  Args:
    value: The value.
    what: Description of the value for error messages.

  Returns:
    The value.

  Raises:
    ValueError: If the value is not a string, or contains half of a surrogate
      pair, which is possible in JSON but not in UTF-8.
  """
  if not isinstance(value, str):
    raise ValueError(f"{what} must be a string. Got: {value!r}.")
  if _SURROGATE.search(value):
    raise ValueError(
        f"{what} contains half of a surrogate pair, \\ud800 to \\udfff. Remove"
        f" it. Got: {value!r}."
    )
  return value


def _parse_int(digits: str) -> int:
  if len(digits) > _MAX_DIGITS:
    raise ValueError(f"a number of {len(digits)} digits is too large")
  return int(digits)


def _float(value: str) -> float | str:
  """Returns the number in a text, or the text if it is not a number."""
  try:
    return float(value) if value.isascii() and "_" not in value else value
  except ValueError:
    return value
