"""Writes the checkpoints of a training run, by variable name."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import logging as standard_logging
import os

from absl import logging
import tensorflow as tf

from im2txt import checkpoints

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
    state = tf.train.get_checkpoint_state(folder)
    if state is not None:
      earlier = filter(checkpoints.exists, state.all_model_checkpoint_paths)
      # Their ages don't matter: none is kept for its age here.
      self._saver.set_last_checkpoints_with_time([(p, 0.0) for p in earlier])
    for name in tf.io.gfile.listdir(folder):
      if name.startswith(_CHECKPOINT_NAME) and ".tempstate" in name:
        tf.io.gfile.remove(os.path.join(folder, name))

  def save(self, step: int) -> str:
    """Writes a checkpoint; it appears in the `checkpoint` file when whole.

    Args:
      step: The global step, which becomes part of the name.

    Returns:
      The checkpoint's path, without suffix.
    """
    path = os.path.join(self._folder, _CHECKPOINT_NAME)
    logging.info("Saving checkpoint to path %s", path)
    return self._saver.save(
        None, path, global_step=step, write_meta_graph=False
    )


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
