"""Runs training as configured by the flags of `train`.

configuration, files -> phases -> one `TrainingLoop` for each, in turn
cluster              -> distribution

The encoder must not be trained before the decoder (arXiv 1609.06647, section
5): the noisy gradients of an untrained decoder would destroy its features. So a
run may have two phases: the decoder alone, then both. Each starts from the
newest checkpoint, with its global step and the optimizer's slots, as a separate
run would.
"""

from collections.abc import Mapping
import contextlib
import dataclasses
from pathlib import Path
from typing import Any
from typing import NamedTuple

from absl import logging
import tensorflow as tf

from im2txt import configuration
from im2txt import presets
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import saved_config
from im2txt.data import caption_data
from im2txt.data import dataset_facts
from im2txt.distributed import clusters
from im2txt.distributed import distribution as distribution_lib
from im2txt.inference_utils import vocabulary
from im2txt.ops import inputs
from im2txt.runtime import folder_lock
from im2txt.runtime import precision as precision_lib
from im2txt.runtime import stop_signals
from im2txt.training import self_critical
from im2txt.training import trainers
from im2txt.training import training_loop

_Configs = tuple[configuration.ModelConfig, configuration.TrainingConfig]


def load_configuration(
    train_dir: str,
    *,
    preset: str | None,
    overrides: Mapping[str, Any],
    data_fields: Mapping[str, int],
) -> _Configs:
  """Returns the configuration of a run, which may be new or resumed.

  A value of a new run comes from `overrides`, or else from the preset, from
  `data_fields` or from the defaults, in this order. A value of a resumed run
  comes from `overrides`, or else from the saved configuration.

  Args:
    train_dir: The folder of the run, which need not exist.
    preset: Name of a preset; None for none. The values of a resumed run must
      agree with it, except for `overrides`, so that the command that started a
      run also resumes it.
    overrides: Values by field; see `configuration.parse_overrides`.
    data_fields: Values by field that describe the data set; see
      `dataset_facts.config_fields`.

  Returns:
    The model and the training configuration.

  Raises:
    ValueError: If the saved configuration is not valid or contradicts the
      preset, or if one of `overrides` is not valid.
  """
  saved = saved_config.load(train_dir)
  preset_values = presets.PRESETS[preset]() if preset else {}
  if _is_new(train_dir):
    values = {**preset_values, **overrides}
    from_data = {f: v for f, v in data_fields.items() if f not in values}
    if from_data:
      text = ", ".join(f"{field}={value}" for field, value in from_data.items())
      logging.info("Configuration from the data set: %s", text)
    return configuration.replace(*saved, {**from_data, **values})
  expected = {f: v for f, v in preset_values.items() if f not in overrides}
  _check_preset(saved, expected, preset=preset, train_dir=train_dir)
  return configuration.replace(*saved, overrides)


def _is_new(folder: str) -> bool:
  """Returns whether a folder has neither a configuration nor a checkpoint."""
  if saved_config.exists(folder):
    return False
  return checkpoint_paths.find_latest(folder) is None


def _check_preset(
    saved: _Configs,
    expected: Mapping[str, Any],
    *,
    preset: str | None,
    train_dir: str,
) -> None:
  """Raises a ValueError if saved values differ from those of a preset."""
  model, training = saved
  actual = {**dataclasses.asdict(model), **dataclasses.asdict(training)}
  differences = [
      f"{field} is {actual[field]}, not {value}"
      for field, value in expected.items()
      if actual[field] != value
  ]
  if differences:
    raise ValueError(
        f"The run in {train_dir} contradicts --preset={preset}:"
        f" {'; '.join(differences)}. Omit --preset to resume the run, or choose"
        " another --train_dir."
    )


class Phase(NamedTuple):
  """A part of a run.

  Attributes:
    number_of_steps: Global step at which the phase ends.
    train_inception: Whether to train the encoder as well as the decoder.
    data: The training data.
  """

  number_of_steps: int
  train_inception: bool
  data: caption_data.CaptionData


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
  """A training run; each field is the flag of `train` with that name."""

  train_dir: str
  input_file_pattern: str
  input_feature_pattern: str
  allow_missing_shards: bool = False
  inception_checkpoint_file: str
  train_inception: bool
  train_inception_after_steps: int | None
  number_of_steps: int
  log_every_n_steps: int
  objective: str
  vocab_file: str
  preset: str | None
  config_overrides: str
  scheduled_sampling: str | None
  mixed_precision: str
  jit_compile: str
  distribution: str
  shard_by_record: bool
  cluster_timeout_secs: float
  slurm_port: int


def train(run: Run) -> int:
  """Trains, as one of the processes of a run if there are several.

  Args:
    run: The run.

  Returns:
    The exit status: 0, or 128 plus the number of the signal that ended the run.

  Raises:
    OSError: If a file can't be read or written.
    ValueError: If a field of the run, or a file that it names, is not valid.
  """
  cluster = None
  if run.distribution in distribution_lib.CLUSTER_KINDS:
    cluster = clusters.find(slurm_port=run.slurm_port)
    if run.distribution == "parameter_server" and not cluster.is_chief:
      distribution_lib.run_server(
          cluster, timeout_secs=run.cluster_timeout_secs
      )
      return 0
  with contextlib.ExitStack() as stack:
    if cluster is None or cluster.is_chief:
      stack.enter_context(folder_lock.hold(run.train_dir))
    return _train(run, cluster).exit_status


def _train(
    run: Run, cluster: clusters.Cluster | None
) -> stop_signals.StopRequest:
  """Runs the phases of a run, each from the newest checkpoint."""
  model_config, training_config, phases = _configure(run)
  objective = None
  if run.objective == "self_critical":
    phases, objective = _self_critical(run, phases[0], training_config)
  compute_dtype = precision_lib.training_dtype(run.mixed_precision)
  distribution = distribution_lib.connect(
      run.distribution,
      cluster,
      settings=_settings(run, model_config, training_config, phases),
      shard_by_record=run.shard_by_record,
      timeout_secs=run.cluster_timeout_secs,
  )
  checkpoint = checkpoints.find_readable(run.train_dir)
  step = checkpoints.global_step(checkpoint) if checkpoint else 0
  for phase in _remaining(phases, step):
    if phase.train_inception:
      logging.info("From step %d on, the encoder is trained too.", step)
    loop = training_loop.TrainingLoop(
        model_config=model_config,
        training_config=training_config,
        train_dir=run.train_dir,
        checkpoint=checkpoint,
        options=trainers.StepOptions(
            train_inception=phase.train_inception,
            objective=objective,
            compute_dtype=compute_dtype,
            jit_compile=_uses_xla(run),
            must_compile=run.jit_compile == "true",
        ),
        inception_checkpoint_file=run.inception_checkpoint_file,
        distribution=distribution,
    )
    request = loop.run(
        phase.data,
        number_of_steps=phase.number_of_steps,
        log_every_n_steps=run.log_every_n_steps,
    )
    step, checkpoint = loop.trainer.global_step, loop.checkpoint
    if request.signal or step < phase.number_of_steps:
      break
  return request


def _configure(
    run: Run,
) -> tuple[
    configuration.ModelConfig, configuration.TrainingConfig, list[Phase]
]:
  """Returns the configuration of a run and its phases."""
  parts = _parts(run)
  first = parts[0]
  model_config, training_config = load_configuration(
      run.train_dir,
      preset=run.preset,
      overrides=_overrides(run),
      data_fields=dataset_facts.config_fields(
          first.files, are_features=first.are_features
      ),
  )
  phases = [
      Phase(
          part.number_of_steps,
          part.train_inception,
          caption_data.CaptionData(
              files=part.files,
              config=model_config,
              are_features=part.are_features,
          ),
      )
      for part in parts
  ]
  return model_config, training_config, phases


def _remaining(phases: list[Phase], step: int) -> list[Phase]:
  """Returns the phases that are not finished; at least the last one."""
  unfinished = [p for p in phases[:-1] if p.number_of_steps > step]
  return [*unfinished, phases[-1]]


def _overrides(run: Run) -> dict[str, Any]:
  """Returns the values of the configuration that flags set, by field."""
  overrides = configuration.parse_overrides(run.config_overrides)
  if run.scheduled_sampling:
    schedule = overrides.setdefault(
        "scheduled_sampling", run.scheduled_sampling
    )
    if schedule != run.scheduled_sampling:
      raise ValueError(
          f"--scheduled_sampling={run.scheduled_sampling} contradicts"
          f" scheduled_sampling={schedule} in --config_overrides."
      )
  return overrides


def _uses_xla(run: Run) -> bool:
  """Returns whether XLA is to compile the steps of a run."""
  if run.jit_compile != "auto":
    return run.jit_compile == "true"
  return (
      bool(tf.config.list_physical_devices("GPU")) and run.distribution == "off"
  )


def _settings(run: Run, model_config, training_config, phases) -> dict:
  """Returns the settings that must be equal in all processes."""

  def describe(phase: Phase) -> list:
    names = [Path(file).name for file in phase.data.files]
    of_files = [phase.data.are_features, len(names), names[0], names[-1]]
    return [phase.number_of_steps, phase.train_inception, *of_files]

  return {
      **dataclasses.asdict(model_config),
      **dataclasses.asdict(training_config),
      "phases": [describe(phase) for phase in phases],
      "inception_checkpoint_file": Path(run.inception_checkpoint_file).name,
      "mixed_precision": run.mixed_precision,
      "shard_by_record": run.shard_by_record,
      "newest checkpoint": checkpoint_paths.find_latest(run.train_dir),
  }


class _Part(NamedTuple):
  """A phase before its configuration is known."""

  number_of_steps: int
  train_inception: bool
  files: list[str]
  are_features: bool


def _parts(run: Run) -> list[_Part]:
  """Returns the phases of a run, with their files."""

  def part(steps: int, train_inception: bool) -> _Part:
    features = "" if train_inception else run.input_feature_pattern
    files = inputs.input_files(
        run.input_file_pattern,
        features,
        allow_missing_shards=run.allow_missing_shards,
    )
    return _Part(steps, train_inception, files, bool(features))

  last, first = run.number_of_steps, run.train_inception_after_steps
  if first is None:
    return [part(last, run.train_inception)]
  if first >= last:
    return [part(last, False)]
  return [part(first, False), part(last, True)]


def _self_critical(
    run: Run,
    phase: Phase,
    training_config: configuration.TrainingConfig,
) -> tuple[list[Phase], trainers.Objective]:
  """Returns the single phase of self-critical training and its objective."""
  checkpoint_paths.find(run.train_dir)  # Raises an error if there is none.
  if training_config.optimizer.lower() != "adam":
    logging.warning(
        "The optimizer is %s, which changes little at the default learning rate"
        " of self-critical training, since that is for Adam. Use"
        " --config_overrides=optimizer=adam.",
        training_config.optimizer,
    )
  vocab = vocabulary.Vocabulary(run.vocab_file)
  data = self_critical.read_images(phase.data, vocab)
  objective = self_critical.SelfCritical(data, vocab, training_config)
  return [phase._replace(data=data)], objective
