"""Tests that the tables of modules of g3doc/design.md and the code agree."""

from pathlib import Path
import re

from absl.testing import absltest

_TABLE = re.compile(r"^\| in `im2txt/` \||^\| in `(\w+)/` \|", re.MULTILINE)
_ROW = re.compile(r"^\| (`.*?) \|", re.MULTILINE)
_TARGET = re.compile(
    r'^py_(?:library|binary)\(\n    name = "\w+",\n    srcs = \["(\w+)\.py"\]',
    re.MULTILINE,
)


def _named() -> list[str]:
  """The modules of the tables, with their packages."""
  _, *parts = _TABLE.split(Path("g3doc/design.md").read_text())
  return [
      str(Path(package or "", name))
      for package, table in zip(parts[::2], parts[1::2], strict=True)
      for row in _ROW.findall(table)
      for name in re.findall(r"`(.*?)`", row)
  ]


def _modules() -> list[str]:
  """What the BUILD files name, without tests and what is for them only."""
  return [
      str(build.parent.relative_to("im2txt") / name)
      for build in Path("im2txt").rglob("BUILD")
      if build.parent.name != "testing"
      for name in _TARGET.findall(build.read_text())
      if name != "__init__"
  ]


class DesignDocTest(absltest.TestCase):

  def test_the_tables_name_each_module_once(self):
    named = _named()

    self.assertGreater(len(named), 100)
    self.assertCountEqual(named, _modules())


if __name__ == "__main__":
  absltest.main()
