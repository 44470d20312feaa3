"""Notes which lines of im2txt run while Bazel tests, for coverage_report.

The venv imports this module at every start, so the programs that tests start
are measured too. It acts only where the environment variable IM2TXT_COVERAGE is
set, which .ci/run does, and in tests, whose outputs then hold the notes.
"""

import atexit
import os


def start(folder: str) -> None:
  """Notes lines from now on, in a file of its own in a folder at the end."""
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
