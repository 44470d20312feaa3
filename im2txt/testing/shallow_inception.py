"""Inception v3 cut short, for tests that train an encoder but not what it is.

TensorFlow takes seconds for each graph of all its 94 convolutions, and a test
of training makes several.
"""

from unittest import mock

from absl.testing import absltest

from im2txt.ops import image_embedding

# One of its last there.
LAYER = "InceptionV3/Mixed_5b/Branch_0/Conv2d_0a_1x1"


def set_up(test: absltest.TestCase) -> None:
  """Has encoders end with the first block of branches while a test lasts."""
  test.enter_context(
      mock.patch.object(image_embedding, "_FINAL_ENDPOINT", "Mixed_5b")
  )
