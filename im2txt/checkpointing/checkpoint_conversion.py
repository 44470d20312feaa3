"""Rewrites a checkpoint of any age as training writes them today."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import os
from typing import NamedTuple
import uuid

import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoint_reader
from im2txt.checkpointing import saved_config
from im2txt.runtime import whole_file

_NUM_ENCODER_NAMES = 376
_INDEX, _DATA = ".index", ".data-00000-of-00001"


class Conversion(NamedTuple):
  """What was done.

  Attributes:
    checkpoint: The new checkpoint's path, without suffix.
    kept: Today's names of all that it holds.
    renamed: (name in the old checkpoint, today's name) where these differ.
    dropped: Names in the old checkpoint that the new one has nothing of.
    global_step: The global step; 0 if the old checkpoint had none.
  """

  checkpoint: str
  kept: Sequence[str]
  renamed: Sequence[tuple[str, str]]
  dropped: Sequence[str]
  global_step: int


class Contents(NamedTuple):
  """What the folder of a checkpoint holds.

  Attributes:
    values: The values by today's names, as NumPy arrays.
    model: The model's configuration.
    training: The training's configuration.
    texts: The contents of further files, by name.
  """

  values: dict[str, np.ndarray]
  model: configuration.ModelConfig
  training: configuration.TrainingConfig
  texts: dict[str, str]


def convert(
    old: str,
    new: str,
    *,
    keep_slots: bool = False,
    change: Callable[[Contents], Contents] = lambda contents: contents,
) -> Conversion:
  """Writes a checkpoint with today's names, in today's format.

  Files `checkpoint` and `config.json` are written beside it. All appear when
  they are whole, the file `checkpoint` last.

  Args:
    old: A checkpoint, or a folder, whose newest one is taken.
    new: A folder, or a checkpoint's path without suffix if its last part has
      ".ckpt" in it. There may be no other checkpoint in the folder.
    keep_slots: Whether to keep what an optimizer goes on from. Averages of
      weights are kept if the configuration uses them: for the model, or, with
      the slots, for training.
    change: Makes what is written of what was read.

  Returns:
    What was done.

  Raises:
    FileNotFoundError: If there is no old checkpoint.
    FileExistsError: If the new folder has a checkpoint or one of the further
      files already.
    ValueError: If the old checkpoint is damaged or not of an im2txt model.
  """
  path = checkpoint_paths.find(old)
  shapes = checkpoint_reader.shapes(path)
  model, training = saved_config.load(path)
  keep_averages = model.use_ema or (keep_slots and training.ema_decay > 0)
  names = {
      today: stored
      for today, stored in _newest_names(shapes).items()
      if checkpoint_names.is_of_model(today)
      or (keep_slots and checkpoint_names.is_slot(today))
      or (keep_averages and checkpoint_names.is_average(today))
  }
  _check_whole(names, shapes, path)
  values = checkpoint_reader.read(path, names)
  step = np.asarray(values.get(checkpoint_names.GLOBAL_STEP, 0), np.int32)
  values[checkpoint_names.GLOBAL_STEP] = step
  folder, prefix = _destination(new, int(step))
  contents = change(Contents(values, model, training, texts={}))
  _refuse_to_replace(folder, contents.texts)
  _write(folder, prefix, contents)
  return Conversion(
      checkpoint=os.path.join(folder, prefix),
      kept=sorted(values),
      renamed=sorted((s, t) for t, s in names.items() if s != t),
      dropped=sorted(set(shapes) - set(names.values())),
      global_step=int(step),
  )


def _newest_names(stored: Mapping[str, Sequence[int]]) -> dict[str, str]:
  """What each of today's names is called in a checkpoint that has it."""
  todays = {checkpoint_names.todays_name(name) for name in stored}
  found = {t: checkpoint_names.stored_name(t, stored) for t in todays}
  return {today: name for today, name in found.items() if name}


def _check_whole(
    names: Mapping[str, str],
    stored: Mapping[str, Sequence[int]],
    path: str,
) -> None:
  lacking = [n for n in checkpoint_names.DECODER_NAMES if n not in names]
  if lacking:
    raise ValueError(
        f"The checkpoint {path}"
        f" {checkpoint_names.describe_lack(lacking, stored)}"
    )
  is_encoder = [
      name.startswith(checkpoint_names.ENCODER)
      and checkpoint_names.is_of_model(name)
      for name in names
  ]
  if sum(is_encoder) != _NUM_ENCODER_NAMES:
    raise ValueError(
        f"The checkpoint {path} holds {sum(is_encoder)} of the"
        f" {_NUM_ENCODER_NAMES} variables of Inception v3."
    )


def _destination(new: str, step: int) -> tuple[str, str]:
  """The folder of the new checkpoint and its name in it."""
  folder, name = os.path.split(new)
  if ".ckpt" not in name:
    folder, name = new, f"model.ckpt-{step}"
  _refuse_to_replace(
      folder, ("checkpoint", name, name + _INDEX, saved_config.CONFIG_FILE)
  )
  return folder, name


def _refuse_to_replace(folder: str, files: Iterable[str]) -> None:
  for file in files:
    if tf.io.gfile.exists(os.path.join(folder, file)):
      what = file if file.endswith((".json", ".txt")) else "checkpoint"
      raise FileExistsError(
          f"There is a {what} in {folder or '.'} already. Give another folder,"
          " which will be made."
      )


def _write(folder: str, name: str, contents: Contents) -> None:
  """Writes all files elsewhere in the folder, then moves them to it."""
  staging = os.path.join(folder, f".converting-{uuid.uuid4().hex}")
  with whole_file.errors_name(os.path.join(folder, name), temporary=staging):
    tf.io.gfile.makedirs(staging)
    try:
      _write_parts(staging, name, contents)
      checkpoint = (name + _DATA, name + _INDEX, "checkpoint")
      for file in (*contents.texts, saved_config.CONFIG_FILE, *checkpoint):
        tf.io.gfile.rename(
            os.path.join(staging, file), os.path.join(folder, file)
        )
    finally:
      tf.io.gfile.rmtree(staging)


def _write_parts(staging: str, name: str, contents: Contents) -> None:
  tf.raw_ops.SaveV2(
      prefix=os.path.join(staging, name),
      tensor_names=list(contents.values),
      shape_and_slices=[""] * len(contents.values),
      tensors=[tf.constant(value) for value in contents.values.values()],
  )
  with tf.io.gfile.GFile(os.path.join(staging, "checkpoint"), "w") as file:
    # A name without a folder, so that the whole can be moved.
    file.write(f'model_checkpoint_path: "{name}"\n')
    file.write(f'all_model_checkpoint_paths: "{name}"\n')
  saved_config.save(staging, contents.model, contents.training)
  for file, text in contents.texts.items():
    with tf.io.gfile.GFile(os.path.join(staging, file), "w") as opened:
      opened.write(text)
