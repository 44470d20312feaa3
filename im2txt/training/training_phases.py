"""A run of several phases: first the decoder alone, then the encoder too.

The image model must not be disturbed before the decoder has settled (arXiv
1609.06647, section 5): the noise of its first gradients would spoil what the
encoder knows. Each phase goes on from the newest checkpoint, as separate runs
would, with its global step and the optimizer's slots.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

from absl import logging

from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoint_reader
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import readable_checkpoint
from im2txt.input_data import caption_data
from im2txt.runtime import stop_signals
from im2txt.training import training_loop


class Phase(NamedTuple):
  """A part of a run.

  Attributes:
    number_of_steps: The global step that it ends with.
    train_inception: Whether it trains the encoder too.
    data: What it trains on.
  """

  number_of_steps: int
  train_inception: bool
  data: caption_data.CaptionData


def run(
    phases: Sequence[Phase],
    make_loop: Callable[[bool], training_loop.TrainingLoop],
    *,
    train_dir: str,
    log_every_n_steps: int = 1,
) -> stop_signals.StopRequest:
  """Trains until the last phase is over, or the run is to stop.

  Args:
    phases: The phases in their order; those that are over are left out, but
      for the last one.
    make_loop: Makes the `TrainingLoop` of `train_dir`, given whether it trains
      the encoder too.
    train_dir: The folder of the run.
    log_every_n_steps: How often to log the loss.

  Returns:
    As `TrainingLoop.run` does.

  Raises:
    ValueError: As of `TrainingLoop.run`.
  """
  step = _step(train_dir)
  left = [phase for phase in phases[:-1] if phase.number_of_steps > step]
  for phase in (*left, phases[-1]):
    if phase.train_inception:
      logging.info("From step %d on, the encoder is trained too.", step)
    loop = make_loop(phase.train_inception)
    request = loop.run(
        phase.data,
        number_of_steps=phase.number_of_steps,
        log_every_n_steps=log_every_n_steps,
    )
    step = loop.trainer.global_step
    if request.signal or step < phase.number_of_steps:
      break
  return request


def _step(train_dir: str) -> int:
  """The global step of the newest checkpoint; 0 if there is none."""
  checkpoint = readable_checkpoint.find(train_dir)
  if checkpoint is None:
    return 0
  reader = checkpoint_reader.Reader(checkpoint)
  return int(checkpoints.read_value(reader, checkpoint_names.GLOBAL_STEP, []))
