"""Training steps that XLA compiles.

XLA joins the thousands of small operations of a step, which a GPU spends more
time on starting than on computing. It compiles a function again for each new
shape of its arguments, so

  * the encoder, the decoder with the losses, and the update of the weights are
    compiled on their own: an Inception v3, which takes XLA a minute or more, is
    compiled once, not once per length of captions;
  * captions are padded to a multiple of 16 words.

Integer variables stay outside: TensorFlow keeps them in the processor's memory,
where what XLA compiles for a GPU can't reach them. All shapes are known once
those of the arguments are.
"""

from collections.abc import Callable
import time
from typing import Any

from absl import logging
import tensorflow as tf

from im2txt.ops import inputs

# MSCOCO's captions have 8 to 57 words, so a batch has one of some four lengths.
_LENGTH_MULTIPLE = 16


def compiled(
    function: Callable[..., Any], jit_compile: bool = True
) -> Callable[..., Any]:
  """Returns a function compiled by XLA, or unchanged if not `jit_compile`."""
  if not jit_compile:
    return function
  return tf.function(function, autograph=False, jit_compile=True)


def pad_captions(batch: Any) -> Any:
  """Pads the captions of a batch to one of a few lengths.

  Args:
    batch: An `inputs.Batch`. Other batches, which hold no captions, are
      returned as they are.

  Returns:
    The batch with captions of a multiple of 16 words.
  """
  if not isinstance(batch, inputs.Batch):
    return batch
  length = tf.shape(batch.input_seqs)[1]
  padding = _padded_length(length) - length

  def pad(words: tf.Tensor) -> tf.Tensor:
    return tf.pad(words, [[0, 0], [0, padding]])

  return batch._replace(
      input_seqs=pad(batch.input_seqs),
      target_seqs=pad(batch.target_seqs),
      input_mask=pad(batch.input_mask),
  )


class CompiledStep:
  """A step that logs when XLA compiles it and how long that took."""

  def __init__(
      self,
      step: Callable[[Any], Any],
      make_plain_step: Callable[[], Callable[[Any], Any]] | None,
  ):
    """Initializes the step.

    Args:
      step: Function of a batch, parts of which are compiled.
      make_plain_step: Function that builds the same step without XLA, to train
        with if XLA can't compile the step here; None if that is an error.
    """
    self._step = step
    self._make_plain_step = make_plain_step
    # The padded lengths compiled so far; None once XLA is not used.
    self._lengths: set[int] | None = set()

  def __call__(self, batch: Any) -> Any:
    """Runs the step.

    Args:
      batch: The batch.

    Returns:
      What the step returns.

    Raises:
      tf.errors.OpError: If XLA can't compile the step and there is no other.
    """
    length = 0
    if isinstance(batch, inputs.Batch):
      length = _padded_length(batch.input_seqs.shape[1])
    if self._lengths is None or length in self._lengths:
      return self._step(batch)
    logging.info(
        "XLA compiles the step%s.",
        f" for captions of {length} words" if length else "",
    )
    start = time.monotonic()
    try:
      result = self._step(batch)
    except tf.errors.OpError as error:
      if self._lengths or not self._make_plain_step:
        raise
      logging.warning(
          "XLA is not used, since it can't compile the step here: %s",
          error.message.partition("\n")[0],
      )
      self._lengths = None
      self._step = self._make_plain_step()
      return self._step(batch)
    self._lengths.add(length)
    logging.info("Compiled in %.1f s.", time.monotonic() - start)
    return result


def _padded_length(length: Any) -> Any:
  return -(-length // _LENGTH_MULTIPLE) * _LENGTH_MULTIPLE
