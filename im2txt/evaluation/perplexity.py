"""Perplexity: how well a model predicts the next word of given captions."""

import dataclasses
import math

from absl import logging
import tensorflow as tf

from im2txt import show_and_tell_model
from im2txt.data import caption_data
from im2txt.ops import inputs

_LOG_EVERY_N_BATCHES = 100


@dataclasses.dataclass(frozen=True)
class PerplexityResult:
  """Cross-entropy of a set of captions.

  Attributes:
    sum_losses: The sum of the cross-entropy over all predicted words, in nats.
    num_words: The number of predicted words, which are all but the start words.
    last_batch: The last batch.
  """

  sum_losses: float
  num_words: int
  last_batch: inputs.Batch

  @property
  def perplexity(self) -> float:
    """The exponential of the mean cross-entropy per word; 1 is perfect."""
    try:
      return math.exp(self.sum_losses / self.num_words)
    except OverflowError:
      return math.inf


class PerplexityEvaluator:
  """Evaluator of the perplexity of a model, with its current weights."""

  def __init__(self, model: show_and_tell_model.ShowAndTellModel):
    """Initializes the evaluator.

    Args:
      model: A model in mode "eval".
    """
    self._model = model
    self._losses = tf.function(
        lambda batch: _sum_and_count(model.losses(batch).word_losses),
        autograph=False,
    )

  def evaluate(
      self, data: caption_data.CaptionData, *, max_examples: int
  ) -> PerplexityResult:
    """Computes the perplexity of captions.

    Args:
      data: The captions and their images.
      max_examples: The number of captions to read, rounded up to whole batches;
        all captions if there are fewer.

    Returns:
      The result.

    Raises:
      ValueError: If the input is invalid; the message names the file.
    """
    num_examples = min(max_examples, data.num_pairs)
    num_batches = math.ceil(num_examples / data.config.batch_size)
    batches = data.evaluation_batches(
        feature_size=self._model.encoder.feature_size
    ).take(num_batches)
    # A single trace for all caption lengths and for the smaller last batch.
    losses = self._losses.get_concrete_function(batches.element_spec)
    sum_losses, num_words, batch = 0.0, 0, None
    for number, batch in enumerate(data.explained(batches)):
      batch_loss, batch_words = _call(losses, batch, data)
      sum_losses += batch_loss
      num_words += batch_words
      if number % _LOG_EVERY_N_BATCHES == 0:
        logging.info(
            "Computed losses for %d of %d batches.", number + 1, num_batches
        )
    if batch is None:
      raise ValueError(f"The input has no captions: {', '.join(data.files)}.")
    return PerplexityResult(sum_losses, num_words, batch)


def _call(losses, batch: inputs.Batch, data) -> tuple[float, int]:
  try:
    batch_loss, batch_words = losses(batch)
  except tf.errors.InvalidArgumentError as error:
    raise data.explain(error, batch=batch) from error
  return float(batch_loss), int(batch_words)


def _sum_and_count(word_losses: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  # float64, because the losses of a whole batch are summed before dividing.
  return tf.reduce_sum(tf.cast(word_losses, tf.float64)), tf.size(word_losses)
