"""Writes the checkpoints of a training run, by variable name."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import glob
import logging as standard_logging
import os

from absl import logging
import tensorflow as tf

from im2txt.checkpointing import checkpoint_paths
from im2txt.runtime import whole_file

_CHECKPOINT_NAME = "model.ckpt"


class Saver:
  """Writes the checkpoints of a training run and deletes the oldest ones."""

  def __init__(
      self,
      variables: Mapping[str, tf.Variable],
      folder: str,
      *,
      max_to_keep: int,
  ):
    """Takes over the folder, removing what a killed run left half-written.

    Args:
      variables: What to save, by checkpoint name.
      folder: An existing folder.
      max_to_keep: How many checkpoints to keep, earlier runs' included.
    """
    self._folder = folder
    with _without_advice():
      self._saver = tf.compat.v1.train.Saver(
          dict(variables),
          max_to_keep=max_to_keep,
          # The folder may be moved, and the original's code find them still.
          save_relative_paths=True,
      )
    # Their ages don't matter: none is kept for its age here.
    self._saver.set_last_checkpoints_with_time(
        [(path, 0.0) for path in checkpoint_paths.find_own(folder)]
    )
    _remove_parts(folder)

  def save(self, step: int) -> str:
    """Writes a checkpoint; it appears in the `checkpoint` file when whole.

    Args:
      step: The global step, which becomes part of the name.

    Returns:
      The checkpoint's path, without suffix.

    Raises:
      OSError: If it can't be written, as on a full disk; it is not there then,
        and the earlier ones are.
    """
    path = os.path.join(self._folder, _CHECKPOINT_NAME)
    logging.info("Saving checkpoint to path %s", path)
    try:
      with _without_advice(), whole_file.errors_name(f"{path}-{step}"):
        return self._saver.save(
            None, path, global_step=step, write_meta_graph=False
        )
    except whole_file.WriteError as error:
      raise OSError(
          f"The checkpoint {error} The earlier ones are whole; make room, and"
          " start again."
      ) from error

  def remove_all(self) -> None:
    """Removes the checkpoints that this saver wrote, and the list of them."""
    for checkpoint in self._saver.last_checkpoints:
      for file in tf.io.gfile.glob(f"{glob.escape(checkpoint)}.*"):
        tf.io.gfile.remove(file)
    tf.io.gfile.remove(os.path.join(self._folder, "checkpoint"))


def _remove_parts(folder: str) -> None:
  """Removes what belongs to no whole checkpoint.

  Of a checkpoint, the index is written last and deleted first.
  """
  for name in tf.io.gfile.listdir(folder):
    prefix, _, shard = name.partition(".data-")
    is_half = name.startswith(_CHECKPOINT_NAME) and (
        ".tempstate" in name
        or (shard and not checkpoint_paths.exists(os.path.join(folder, prefix)))
    )
    if is_half or name.startswith("checkpoint.tmp"):
      tf.io.gfile.remove(os.path.join(folder, name))


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
  """Keeps TensorFlow from advising checkpoints without names."""
  logger = tf.get_logger()
  level = logger.level
  logger.setLevel(standard_logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(level)
