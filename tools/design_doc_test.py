"""Tests that the table of modules of g3doc/design.md and the code agree."""

from pathlib import Path
import re

from absl.testing import absltest

_PACKAGES = ("data", "evaluation", "inference_utils", "ops", "serving")
_TARGET = re.compile(
    r'^py_(?:library|binary)\(\n    name = "\w+",\n    srcs = \["(\w+)\.py"\]',
    re.MULTILINE,
)


def _modules() -> set[str]:
  """What the BUILD files name, without tests and what is for them only."""
  names = set()
  for package in ("", *_PACKAGES):
    text = Path("im2txt", package, "BUILD").read_text()
    names |= {str(Path(package, name)) for name in _TARGET.findall(text)}
  return {name for name in names if not name.endswith("__init__")}


class DesignDocTest(absltest.TestCase):

  def test_the_table_names_each_module_once(self):
    rows = re.findall(
        r"^\| (`.*?) \|", Path("g3doc/design.md").read_text(), re.MULTILINE
    )
    named = [name for row in rows for name in re.findall(r"`(.*?)`", row)]

    self.assertGreater(len(named), 100)
    self.assertCountEqual(named, _modules())


if __name__ == "__main__":
  absltest.main()
