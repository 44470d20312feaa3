"""A run of training as `train` is told of it, from its parts.

configuration, files -> phases -> `TrainingLoop`s, one a phase
cluster              -> distribution
"""

import contextlib
import dataclasses
from pathlib import Path
from typing import NamedTuple

from absl import logging
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_paths
from im2txt.distributed import clusters
from im2txt.distributed import distribution as distribution_lib
from im2txt.inference_utils import vocabulary
from im2txt.input_data import caption_data
from im2txt.input_data import dataset_facts
from im2txt.ops import inputs
from im2txt.runtime import folder_lock
from im2txt.runtime import stop_signals
from im2txt.training import mixed_precision as precision_lib
from im2txt.training import run_configuration
from im2txt.training import self_critical
from im2txt.training import step_options
from im2txt.training import training_loop
from im2txt.training import training_phases


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
  """What there is to do; each field is `train`'s flag of that name."""

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
  mixed_precision: str
  jit_compile: str
  distribution: str
  shard_by_record: bool
  cluster_timeout_secs: float
  slurm_port: int


def train(run: Run) -> int:
  """Does a run, or this process' part of it.

  Args:
    run: The run.

  Returns:
    The exit status: 0, or 128 and the number of the signal that ended it.

  Raises:
    OSError: If a file can't be read or written.
    ValueError: If the run can't be done as it is described.
  """
  cluster = None
  if run.distribution in distribution_lib.CLUSTER_KINDS:
    cluster = clusters.find(slurm_port=run.slurm_port)
    if run.distribution == "parameter_server" and not cluster.is_chief:
      distribution_lib.serve(cluster, timeout_secs=run.cluster_timeout_secs)
      return 0
  precision_lib.use(run.mixed_precision)
  with contextlib.ExitStack() as stack:
    if cluster is None or cluster.is_chief:
      stack.enter_context(folder_lock.hold(run.train_dir))
    return _train(run, cluster).exit_status


def _train(
    run: Run, cluster: clusters.Cluster | None
) -> stop_signals.StopRequest:
  parts = _parts(run)
  first = parts[0]
  model_config, training_config = run_configuration.load(
      run.train_dir,
      preset=run.preset or "",
      overrides=run.config_overrides,
      data_fields=dataset_facts.config_fields(
          first.files, are_features=first.are_features
      ),
  )
  phases = [
      training_phases.Phase(
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
  objective = None
  if run.objective == "self_critical":
    phases, objective = _self_critical(run, phases[0], training_config)
  distribution = distribution_lib.connect(
      run.distribution,
      cluster,
      settings=_settings(run, model_config, training_config, phases),
      shard_by_record=run.shard_by_record,
      timeout_secs=run.cluster_timeout_secs,
  )

  def make_loop(train_inception: bool) -> training_loop.TrainingLoop:
    return training_loop.TrainingLoop(
        model_config=model_config,
        training_config=training_config,
        train_dir=run.train_dir,
        options=step_options.StepOptions(
            train_inception=train_inception,
            objective=objective,
            scale_loss=run.mixed_precision == "float16",
            jit_compile=_uses_xla(run),
            must_compile=run.jit_compile == "true",
        ),
        inception_checkpoint_file=run.inception_checkpoint_file,
        distribution=distribution,
    )

  return training_phases.run(
      phases,
      make_loop,
      train_dir=run.train_dir,
      log_every_n_steps=run.log_every_n_steps,
  )


def _uses_xla(run: Run) -> bool:
  """Returns whether XLA is to compile the steps of a run."""
  if run.jit_compile != "auto":
    return run.jit_compile == "true"
  return (
      bool(tf.config.list_physical_devices("GPU"))
      and run.distribution == "off"
      and run.mixed_precision == "float32"
      and run.objective == "likelihood"
  )


def _settings(run: Run, model_config, training_config, phases) -> dict:
  """What must be the same in all processes, wherever they have their files."""

  def describe(phase: training_phases.Phase) -> list:
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
    phase: training_phases.Phase,
    training_config: configuration.TrainingConfig,
) -> tuple[list[training_phases.Phase], step_options.Objective]:
  """The phase with its images alone, as the only one, and the objective."""
  checkpoint_paths.find(run.train_dir)  # Or else an error.
  if training_config.optimizer.lower() != "adam":
    logging.warning(
        "The optimizer is %s, which hardly moves at a rate like the default of"
        " self-critical training, made for Adam: give"
        " --config_overrides=optimizer=adam.",
        training_config.optimizer,
    )
  vocab = vocabulary.Vocabulary(run.vocab_file)
  data = self_critical.read_images(phase.data, vocab)
  objective = self_critical.SelfCritical(data, vocab, training_config)
  return [phase._replace(data=data)], objective
