"""The inputs of training benchmarks: the user's records, or synthetic ones."""

from collections.abc import Sequence

from absl import flags

from benchmarks import synthetic_records

_INPUT_FILE_PATTERN = flags.DEFINE_string(
    "input_file_pattern", "", "Records of images; synthetic if empty."
)
_INPUT_FEATURE_PATTERN = flags.DEFINE_string(
    "input_feature_pattern", "", "Records of features; synthetic if empty."
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides", "", "Overrides of the configuration, as for train."
)

_NUM_PAIRS = 128


def overrides(**more: object) -> str:
  """Returns the user's overrides of the configuration, and more, as a text."""
  assignments = [f"{name}={value}" for name, value in more.items()]
  return ",".join(filter(None, (_CONFIG_OVERRIDES.value, *assignments)))


def files(folder: str, *, are_features: bool) -> Sequence[str]:
  """Returns the files that the flags name, or creates synthetic ones.

  Args:
    folder: The folder for synthetic files.
    are_features: Whether to read features instead of images.

  Returns:
    The names of TFRecord files.

  Raises:
    FileNotFoundError: If no file matches a flag's pattern.
  """
  from im2txt import configuration
  from im2txt.ops import inputs

  if are_features:
    pattern, make = _INPUT_FEATURE_PATTERN, synthetic_records.write_features
  else:
    pattern, make = _INPUT_FILE_PATTERN, synthetic_records.write_images
  if pattern.value:
    return inputs.input_files(pattern.value)
  config, _ = configuration.apply_overrides(
      configuration.ModelConfig(), configuration.TrainingConfig(), overrides()
  )
  return make(folder, config, _NUM_PAIRS)
