"""The flags for what the benchmarks of training read, and what they name."""

from collections.abc import Sequence

from absl import flags

from benchmarks import made_up_records

_INPUT_FILE_PATTERN = flags.DEFINE_string(
    "input_file_pattern", "", "Records of images; made up if empty."
)
_INPUT_FEATURE_PATTERN = flags.DEFINE_string(
    "input_feature_pattern", "", "Records of features; made up if empty."
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides", "", "Changes to the configuration, as train takes them."
)

_NUM_PAIRS = 128


def overrides(**more: object) -> str:
  """Returns the user's changes to the configuration and others, as one text."""
  assignments = [f"{name}={value}" for name, value in more.items()]
  return ",".join(filter(None, (_CONFIG_OVERRIDES.value, *assignments)))


def files(folder: str, *, are_features: bool) -> Sequence[str]:
  """Returns the names of the files to read.

  Args:
    folder: Where they are written if the flags name none.
    are_features: Whether they are to hold features.

  Returns:
    Names of TFRecord files.

  Raises:
    FileNotFoundError: If no file matches a flag's pattern.
  """
  from im2txt import configuration
  from im2txt.ops import inputs

  if are_features:
    pattern, make = _INPUT_FEATURE_PATTERN, made_up_records.write_features
  else:
    pattern, make = _INPUT_FILE_PATTERN, made_up_records.write_images
  if pattern.value:
    return inputs.input_files(pattern.value)
  config, _ = configuration.apply_overrides(
      configuration.ModelConfig(), configuration.TrainingConfig(), overrides()
  )
  return make(folder, config, _NUM_PAIRS)
