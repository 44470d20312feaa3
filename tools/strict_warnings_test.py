"""Tests of which modules' warnings are errors in Bazel's tests."""

import os
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized

_WARN = """
import warnings
from tools import strict_warnings
warnings.warn_explicit("old", DeprecationWarning, "a.py", 1, module={module!r})
"""


class StrictWarningsTest(parameterized.TestCase):

  @parameterized.parameters(
      ("im2txt", "1", True),
      ("im2txt.ops.lstm", "1", True),
      ("__main__", "1", True),
      ("im2txtension", "1", False),
      ("keras.src.layers", "1", False),
      ("im2txt.ops.lstm", "", False),
  )
  def test_warning_is_an_error(self, module, variable, expected):
    result = subprocess.run(
        [sys.executable, "-c", _WARN.format(module=module)],
        env={**os.environ, "IM2TXT_STRICT_WARNINGS": variable},
        capture_output=True,
        text=True,
        check=False,
    )

    self.assertEqual(result.returncode, int(expected), result.stderr)

  def test_venv_imports_it_at_every_start(self):
    if "IM2TXT_STRICT_WARNINGS" not in os.environ:
      self.skipTest("Not run by Bazel.")

    self.assertIn("strict_warnings", sys.modules)


if __name__ == "__main__":
  absltest.main()
