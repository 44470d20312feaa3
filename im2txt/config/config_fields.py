"""Types and ranges of the fields of a configuration."""

import typing
from typing import Any


def types(config: Any) -> dict[str, type]:
  """Returns the types of the fields of a configuration or its class."""
  return typing.get_type_hints(
      config if isinstance(config, type) else type(config)
  )


def parse(name: str, field_type: type, text: str) -> Any:
  """Returns the value that a text gives to a field.

  Args:
    name: The field's name.
    field_type: Its type: str, int, float or bool.
    text: What the user wrote; of a bool "true" or "false".

  Returns:
    The value.

  Raises:
    ValueError: If the text is of another type.
  """
  try:
    if field_type is bool:
      return {"true": True, "false": False}[text.lower()]
    return field_type(text)
  except (KeyError, ValueError):
    raise ValueError(
        f"{name} takes a value of type {field_type.__name__}. Got: {text!r}."
    ) from None


def check_types(config: Any) -> None:
  """Raises a ValueError if a field has a value of another type."""
  for name, field_type in types(config).items():
    value = getattr(config, name)
    accepted = (int, float) if field_type is float else field_type
    is_wrong_bool = isinstance(value, bool) and field_type is not bool
    if is_wrong_bool or not isinstance(value, accepted):
      raise ValueError(
          f"{name} takes a value of type {field_type.__name__}. Got: {value!r}."
      )


def check_positive(config: Any, name: str) -> None:
  """Raises a ValueError if a field is not above 0."""
  if not getattr(config, name) > 0:  # NaN neither.
    raise ValueError(f"{name} must be positive. Got: {getattr(config, name)}.")


def check_not_negative(config: Any, name: str) -> None:
  """Raises a ValueError if a field is not 0 or above."""
  if not getattr(config, name) >= 0:
    raise ValueError(
        f"{name} must not be negative. Got: {getattr(config, name)}."
    )


def check_between(config: Any, name: str, low: float, high: float) -> None:
  """Raises a ValueError if a field is not in [low, high)."""
  if not low <= getattr(config, name) < high:
    raise ValueError(
        f"{name} must be in [{low}, {high}). Got: {getattr(config, name)}."
    )
