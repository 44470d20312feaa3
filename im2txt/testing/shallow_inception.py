"""A truncated Inception v3, for tests that train any encoder.

TensorFlow takes seconds for each graph of all 94 convolutions, and tests of
training build several graphs.
"""

from unittest import mock

from absl.testing import absltest

from im2txt.ops import image_embedding

# One of the last layers of the truncated network.
LAYER = "InceptionV3/Mixed_5b/Branch_0/Conv2d_0a_1x1"


def set_up(test: absltest.TestCase) -> None:
  """Truncates encoders after the first block of branches during a test."""
  test.enter_context(
      mock.patch.object(image_embedding, "_FINAL_ENDPOINT", "Mixed_5b")
  )
