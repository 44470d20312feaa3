"""Turns warnings of im2txt's own modules into errors in Bazel's tests.

The venv imports this module whenever Python starts. It is active only if the
environment variable IM2TXT_STRICT_WARNINGS is set, as .bazelrc does for tests.
Warnings of other packages are not affected. PYTHONWARNINGS can't do this, as it
accepts only whole module names.
"""

import os
import sys
import warnings

if os.environ.get("IM2TXT_STRICT_WARNINGS"):
  warnings.filterwarnings("error", module=r"(im2txt(\.|$)|__main__$)")
  # Without an option here, unittest would put its own filters before ours.
  sys.warnoptions.append("error:::im2txt")
