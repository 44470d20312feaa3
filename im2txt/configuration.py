"""Model and training parameters, with overrides and a JSON form.

Every program starts from `ModelConfig()` and `TrainingConfig()`, whose
defaults are those of the released MSCOCO model, or from the `config.json` that
training left beside its checkpoints, and then applies the user's overrides:

    --config_overrides=batch_size=64,embedding_size=256,optimizer=adam

The fields are in `model_configuration` and `training_configuration`.
"""

import dataclasses
import json
from typing import Any

from im2txt.config import config_fields
from im2txt.config import model_configuration
from im2txt.config import training_configuration

ModelConfig = model_configuration.ModelConfig
TrainingConfig = training_configuration.TrainingConfig

# Characters of a wrong text that its error shows.
_MAX_SHOWN = 80


def apply_overrides(
    model: ModelConfig, training: TrainingConfig, overrides: str
) -> tuple[ModelConfig, TrainingConfig]:
  """Applies "field=value,field=value" to the two configurations.

  Args:
    model: The model's configuration to start from.
    training: The training configuration to start from.
    overrides: Comma-separated assignments to fields of either; may be empty.

  Returns:
    The two configurations with the values of `overrides`.

  Raises:
    ValueError: If an assignment is malformed, names no field, or has a value
      that the field can't take.
  """
  all_types = config_fields.types(model), config_fields.types(training)
  changes: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
  for assignment in filter(None, (a.strip() for a in overrides.split(","))):
    name, equals, text = assignment.partition("=")
    if not equals:
      raise ValueError(
          f"An override must have the form field=value. Got: {assignment!r}."
      )
    for types, values in zip(all_types, changes, strict=True):
      if name in types:
        values[name] = config_fields.parse(name, types[name], text)
        break
    else:
      known = sorted(name for types in all_types for name in types)
      raise ValueError(
          f"No config field is called {name!r}. The fields: {', '.join(known)}."
      )
  return (
      dataclasses.replace(model, **changes[0]),
      dataclasses.replace(training, **changes[1]),
  )


def to_json(model: ModelConfig, training: TrainingConfig) -> str:
  """Returns the two configurations as a JSON text that `from_json` reads."""
  values = {
      "model": dataclasses.asdict(model),
      "training": dataclasses.asdict(training),
  }
  return json.dumps(values, indent=2) + "\n"


def to_markdown(model: ModelConfig, training: TrainingConfig) -> str:
  """Returns the two configurations as a table, for TensorBoard."""
  rows = [
      f"| {config} | {name} | {value} |"
      for config, fields in (("model", model), ("training", training))
      for name, value in dataclasses.asdict(fields).items()
  ]
  return "\n".join(["| of | field | value |", "| --- | --- | --- |", *rows])


def from_json(text: str) -> tuple[ModelConfig, TrainingConfig]:
  """Returns the two configurations of a text that `to_json` made.

  Fields missing from the text keep their defaults, so configurations saved by
  earlier versions still work.

  Args:
    text: A JSON object with the objects "model" and "training".

  Returns:
    The model's and the training configuration.

  Raises:
    ValueError: If the text is not such a JSON object or names unknown fields.
  """
  values = json.loads(text)
  if not isinstance(values, dict) or values.keys() - {"model", "training"}:
    raise ValueError(
        'A configuration is a JSON object with "model" and "training". Got:'
        f" {text[:_MAX_SHOWN]!r}."
    )
  return (
      _from_mapping(ModelConfig, values.get("model", {})),
      _from_mapping(TrainingConfig, values.get("training", {})),
  )


def _from_mapping(config_class: type, values: Any) -> Any:
  if not isinstance(values, dict):
    raise ValueError(
        f"The fields of {config_class.__name__} are a JSON object. Got:"
        f" {values!r}."
    )
  unknown = set(values) - set(config_fields.types(config_class))
  if unknown:
    raise ValueError(
        f"No {config_class.__name__} field is called {sorted(unknown)}. The"
        f" fields: {', '.join(sorted(config_fields.types(config_class)))}."
    )
  return config_class(**values)
