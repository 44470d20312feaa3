"""Finds where training can go on after a machine lost power.

A killed run leaves whole checkpoints only. But what a program wrote last may
not be on disk yet when the machine stops, and then a file can be empty, cut
short, or full of zeros under its name.
"""

from absl import logging

from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoint_reader


def find(folder: str) -> str | None:
  """The newest checkpoint of a folder that is not damaged.

  Training goes on from an earlier one exactly as it did before, so only time is
  lost. All of a checkpoint is read and compared with its checksums.

  Args:
    folder: See `checkpoint_paths.find_latest`.

  Returns:
    The checkpoint's path, without suffix; None if the folder has no checkpoint.

  Raises:
    FileNotFoundError: If the `checkpoint` file names checkpoints of which none
      is there.
    ValueError: If all are damaged.
  """
  listed = checkpoint_paths.find_listed(folder)
  for checkpoint in listed:
    try:
      checkpoint_reader.check(checkpoint)
      return checkpoint
    except (ValueError, FileNotFoundError) as error:
      logging.warning("Passing over a damaged checkpoint. %s", error)
  if listed:
    raise ValueError(
        f"All checkpoints in {folder} are damaged, such as {listed[0]}. To"
        " start from the beginning, choose another folder, or delete it."
    )
  return None
