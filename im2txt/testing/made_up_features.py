"""Cached features that no encoder made, and models that take them."""

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
  """Models have a stand-in for an encoder, said to have made any features."""
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
    config: The configuration of the model that is to take them.
    word_ids: A caption for all images; made-up ones if empty.

  Returns:
    The file, as training and evaluation take it.
  """
  return caption_data.CaptionData(
      files=[tiny.write_features(folder, "features", count, word_ids)],
      config=config,
      are_features=True,
  )
