"""The decoder of a configuration: the one place where it is chosen."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from im2txt import configuration
from im2txt.ops import caption_decoder


def make_decoder(
    config: configuration.ModelConfig,
    feature_size: int,
    *,
    seed: int = 0,
    value: Callable[[str, Sequence[int]], Any] | None = None,
) -> caption_decoder.CaptionDecoder:
  """Builds the decoder.

  Args:
    config: The model's configuration.
    feature_size: The number of features that the encoder gives of an image.
    seed: Of the initial values.
    value: Gives instead a checkpoint's value of a name and a shape.

  Returns:
    The decoder.
  """
  return caption_decoder.CaptionDecoder(
      feature_size=feature_size,
      vocab_size=config.vocab_size,
      embedding_size=config.embedding_size,
      num_units=config.num_lstm_units,
      initializer_scale=config.initializer_scale,
      dropout_keep_prob=config.lstm_dropout_keep_prob,
      seed=seed,
      value=value,
  )
