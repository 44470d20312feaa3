"""Records which lines of im2txt run in Bazel's tests, for coverage_report.

The venv imports this module whenever Python starts, so programs that tests
start are measured too. It is active only in tests, and only if the environment
variable IM2TXT_COVERAGE is set, as .ci/run does. The records are among the
tests' outputs.
"""

import atexit
import os


def start(folder: str) -> None:
  """Starts recording; at exit, writes a new file to a folder."""
  import coverage

  measured = coverage.Coverage(
      data_file=os.path.join(folder, "coverage"),
      data_suffix=True,
      include=["*/im2txt/*"],
      omit=["*_test.py"],
      messages=False,
      config_file=False,
  )
  measured.start()

  def finish() -> None:
    measured.stop()
    measured.save()

  atexit.register(finish)


if os.environ.get("IM2TXT_COVERAGE"):
  _folder = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR")
  if _folder:
    start(_folder)
