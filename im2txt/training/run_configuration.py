"""The configuration that a run of training begins or goes on with."""

from collections.abc import Mapping
import dataclasses
import os

from absl import logging
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import saved_config
from im2txt.config import presets

_Configs = tuple[configuration.ModelConfig, configuration.TrainingConfig]


def load(
    train_dir: str,
    *,
    preset: str = "",
    overrides: str = "",
    data_fields: Mapping[str, int] | None = None,
) -> _Configs:
  """Returns the folder's configuration, or a preset's, with the overrides.

  Args:
    train_dir: The folder of the run, which need not exist.
    preset: The name of a preset for a new run; the default configuration if
      empty. A run that goes on has its own: a preset may then be given if it
      says the same, so that the same command goes on.
    overrides: As for `configuration.apply_overrides`.
    data_fields: Fields that a new run takes from its data set, unless the
      preset or the overrides set them; see `dataset_facts.config_fields`.

  Returns:
    The model's and the training configuration.

  Raises:
    ValueError: If the folder's configuration can't be used or contradicts the
      preset, or the overrides are not right.
  """
  saved = saved_config.load(train_dir)
  is_new = _is_new(train_dir)
  if is_new and data_fields:
    given = {part.partition("=")[0].strip() for part in overrides.split(",")}
    given.update(presets.PRESETS[preset]() if preset else ())
    taken = {f: v for f, v in data_fields.items() if f not in given}
    if taken:
      text = ",".join(f"{field}={value}" for field, value in taken.items())
      logging.info("The data set says: %s", text)
      saved = configuration.apply_overrides(*saved, text)
  if not preset:
    return configuration.apply_overrides(*saved, overrides)
  preset_overrides = presets.overrides(preset)
  if not is_new:
    configs = configuration.apply_overrides(*saved, overrides)
    expected = configuration.apply_overrides(
        *saved, f"{preset_overrides},{overrides}"
    )
    _check_same(configs, expected, preset=preset, train_dir=train_dir)
    return configs
  return configuration.apply_overrides(
      *saved, f"{preset_overrides},{overrides}"
  )


def _is_new(folder: str) -> bool:
  """Whether a folder has neither a configuration nor a checkpoint."""
  config_file = os.path.join(folder, saved_config.CONFIG_FILE)
  if tf.io.gfile.exists(config_file):
    return False
  return checkpoint_paths.find_latest(folder) is None


def _check_same(
    configs: _Configs, expected: _Configs, *, preset: str, train_dir: str
) -> None:
  ours, theirs = map(_values, (configs, expected))
  differences = [
      f"{name}={ours[name]}, not {theirs[name]}"
      for name in ours
      if ours[name] != theirs[name]
  ]
  if differences:
    raise ValueError(
        f"The run in {train_dir} was begun with"
        f" {'; '.join(differences)} as of --preset={preset}. Leave the preset"
        " out to go on with it, or choose another --train_dir."
    )


def _values(configs: _Configs) -> dict[str, object]:
  return {
      name: value
      for config in configs
      for name, value in dataclasses.asdict(config).items()
  }
