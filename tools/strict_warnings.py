"""Turns warnings of im2txt's own modules into errors while Bazel tests.

The venv imports this module at every start. It acts only where the environment
variable IM2TXT_STRICT_WARNINGS is set, which .bazelrc does for tests. Warnings
of other packages stay what they are: PYTHONWARNINGS can't tell the two apart,
since it takes whole module names only.
"""

import os
import sys
import warnings

if os.environ.get("IM2TXT_STRICT_WARNINGS"):
  warnings.filterwarnings("error", module=r"(im2txt(\.|$)|__main__$)")
  # unittest puts its own filters before ours unless it finds some given.
  sys.warnoptions.append("error:::im2txt")
