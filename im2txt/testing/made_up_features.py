"""Synthetic cached features, and models that accept them."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from unittest import mock

from im2txt import configuration
from im2txt import networks
from im2txt.data import caption_data
from im2txt.data import feature_cache
from im2txt.testing import tiny


@contextlib.contextmanager
def accepted() -> Iterator[None]:
  """Gives models a fake encoder, to which any features belong."""
  with (
      mock.patch.object(networks, "make_encoder", tiny.FeatureEncoder),
      mock.patch.object(feature_cache, "check_encoder"),
  ):
    yield


def write(
    folder: str,
    count: int,
    *,
    config: configuration.ModelConfig = tiny.CONFIG,
    word_ids: Sequence[int] = (),
) -> caption_data.CaptionData:
  """Writes a file of features as `tiny.write_features` does.

  Args:
    folder: An existing folder.
    count: The number of images.
    config: The configuration of the model for the features.
    word_ids: The caption of all images; random captions if empty.

  Returns:
    The features, as input of training and evaluation.
  """
  return caption_data.CaptionData(
      files=[tiny.write_features(folder, "features", count, word_ids)],
      config=config,
      are_features=True,
  )
