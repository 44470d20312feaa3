"""Reports the line coverage of im2txt's tests.

  ./bazelw test --test_env=IM2TXT_COVERAGE=1 //...
  python3 tools/coverage_report.py bazel-testlogs

prints the modules with the most lines that no test runs, and the coverage of
all modules. The exit status is 1 if that is below --least. Tests, and modules
for tests only, are not counted. The package `coverage` must be installed, as it
is for Bazel's tests.
"""

import argparse
import io
from pathlib import Path
import tempfile
import zipfile

import coverage

_MOST_SHOWN = 10
_LEFT_OUT = ("_test.py", "/testing/")


def sources(folder: Path) -> list[Path]:
  """Returns the Python files of a source tree, without those for tests."""
  return [
      path
      for path in sorted(folder.rglob("*.py"))
      if not any(part in path.as_posix() for part in _LEFT_OUT)
  ]


def combine(test_logs: Path, folder: Path, scratch: Path) -> coverage.Coverage:
  """Combines the measurements of all tests.

  Args:
    test_logs: Bazel's folder of test logs.
    folder: The source tree of the package, for files that no test imports.
    scratch: A folder for temporary files.

  Returns:
    The combined measurement, with data for all files of `sources`.
  """
  noted: list[Path] = []
  for archive in sorted(test_logs.rglob("outputs.zip")):
    with zipfile.ZipFile(archive) as opened:
      for name in opened.namelist():
        if name.startswith("coverage."):
          noted.append(scratch / f"{len(noted)}.{name}")
          noted[-1].write_bytes(opened.read(name))
  measured = coverage.Coverage(
      data_file=str(scratch / "coverage"), config_file=False, messages=False
  )
  # Tests run in sandboxes; this maps their paths to the source tree.
  measured.set_option("paths", {"source": [str(folder), f"*/{folder.name}"]})
  measured.combine(list(map(str, noted)), strict=True)
  data = measured.get_data()
  data.touch_files([str(path.resolve()) for path in sources(folder)])
  return measured


def report(measured: coverage.Coverage, folder: Path) -> tuple[float, str]:
  """Returns the line coverage in percent, and a table of the worst modules."""
  missing = {}
  for path in sources(folder):
    _, lines, _, unrun, _ = measured.analysis2(str(path.resolve()))
    if unrun:
      missing[path] = (len(unrun), len(lines))
  rows = sorted(missing.items(), key=lambda row: -row[1][0])[:_MOST_SHOWN]
  table = "\n".join(
      f"{unrun:5} of {lines:4} lines not run: {path}"
      for path, (unrun, lines) in rows
  )
  percentage = measured.report(
      morfs=[str(path.resolve()) for path in sources(folder)],
      file=io.StringIO(),
  )
  return percentage, table


def main() -> int:
  """Prints the report; returns the exit status."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("test_logs", type=Path)
  parser.add_argument("--package", type=Path, default=Path("im2txt"))
  parser.add_argument("--least", type=float, default=90.0)
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as scratch:
    measured = combine(arguments.test_logs, arguments.package, Path(scratch))
    percentage, table = report(measured, arguments.package)
  print(table)
  print(f"{percentage:.1f}% of the lines of {arguments.package} ran in tests")
  if percentage < arguments.least:
    print(f"That is less than {arguments.least:g}%.")
    return 1
  return 0


if __name__ == "__main__":
  raise SystemExit(main())
