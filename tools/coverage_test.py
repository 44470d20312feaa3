"""Tests of measuring and reporting coverage."""

import os
from pathlib import Path
import subprocess
import sys
import zipfile

from absl.testing import absltest

from tools import coverage_report

_MODULE = """\
def double(x):
  if x < 0:
    return None
  return 2 * x
"""
_MEASURE = """\
import sys
sys.path[:0] = {path!r}
from tools import measure_coverage
from im2txt import numbers_of_ours
numbers_of_ours.double(1)
"""


class CoverageTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = Path(self.create_tempdir().full_path)
    self.package = self.dir / "im2txt"
    self.package.mkdir()
    (self.package / "__init__.py").touch()
    (self.package / "numbers_of_ours.py").write_text(_MODULE)
    (self.package / "unused.py").write_text("A = 1\nB = 2\n")
    (self.package / "unused_test.py").write_text("C = 3\n")

  def _run_measured(self, outputs, variable="1"):
    path = [str(self.dir), os.getcwd(), *filter(None, sys.path)]
    subprocess.run(
        [sys.executable, "-c", _MEASURE.format(path=path)],
        env={
            **os.environ,
            "IM2TXT_COVERAGE": variable,
            "TEST_UNDECLARED_OUTPUTS_DIR": str(outputs),
        },
        check=True,
    )

  def _combine(self):
    outputs = self.dir / "outputs"
    outputs.mkdir()
    self._run_measured(outputs)
    logs = self.dir / "logs"
    (logs / "a_test").mkdir(parents=True)
    with zipfile.ZipFile(logs / "a_test" / "outputs.zip", "w") as archive:
      for noted in outputs.iterdir():
        archive.write(noted, noted.name)
    scratch = self.dir / "scratch"
    scratch.mkdir()
    return coverage_report.combine(logs, self.package, scratch)

  def test_report(self):
    percentage, table = coverage_report.report(self._combine(), self.package)

    # Three of four lines ran, and none of the two in an unused module.
    self.assertEqual(percentage, 50.0)
    self.assertEqual(
        table,
        f"    2 of    2 lines not run: {self.package}/unused.py\n"
        f"    1 of    4 lines not run: {self.package}/numbers_of_ours.py",
    )

  def test_nothing_is_measured_unless_asked(self):
    self._run_measured(self.dir, variable="")

    self.assertEmpty(list(self.dir.glob("coverage*")))


if __name__ == "__main__":
  absltest.main()
