"""Tests that what the pages name exists: packages, modules, tests, links."""

import os
from pathlib import Path
import re

from absl.testing import absltest
from absl.testing import parameterized

_PAGES = [
    *Path().glob("*.md"),
    *Path("g3doc").glob("*.md"),
    Path("benchmarks/README.md"),
]
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SOURCE = re.compile(r'srcs = \["(\w+\.py)"\]')
# A name such as `ops/my_encoder.py` is for the reader to choose.
_MODULE = re.compile(r"`(?:im2txt/)?((?:\w+/)*(?!my_)\w+\.py)`")
_TEST = re.compile(r"`((?:\w+/)*\w+_test)(?:\.py)?`")
_LINK = re.compile(r"\]\(([^)#:]*)(?:#([^):]*))?\)")


def _text(page: Path) -> str:
  return _FENCED.sub("", page.read_text(encoding="utf-8"))


def _sources(package: str) -> set[str]:
  """The modules of a package and its subpackages, as the BUILD files say."""
  return {
      str(build.parent.relative_to(package) / name)
      for build in Path(package).rglob("BUILD")
      for name in _SOURCE.findall(build.read_text(encoding="utf-8"))
  }


def _anchors(page: Path) -> set[str]:
  """The anchors that GitHub makes of the headings of a page."""
  headings = re.findall(r"^#+ (.*)$", _text(page), re.MULTILINE)
  return {
      re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
      for heading in headings
  }


class DocsNamesTest(parameterized.TestCase):

  def test_the_design_names_each_package(self):
    named = re.findall(
        r"^\* `(\w+)/`:",
        Path("g3doc/design.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )

    self.assertCountEqual(
        named, [build.parent.name for build in Path("im2txt").glob("*/BUILD")]
    )

  @parameterized.parameters(*_PAGES)
  def test_modules_and_tests_exist(self, page):
    text = _text(page)
    sources = _sources("im2txt") | _sources("benchmarks")

    self.assertContainsSubset(_MODULE.findall(text), sources)
    self.assertContainsSubset(
        [f"{name}.py" for name in _TEST.findall(text)], sources
    )

  @parameterized.parameters(*_PAGES)
  def test_links_lead_somewhere(self, page):
    for path, anchor in _LINK.findall(_text(page)):
      target = Path(os.path.normpath(page.parent / path)) if path else page
      with self.subTest(f"{path}#{anchor}"):
        if target.suffix == ".py":
          package, *rest = target.parts
          self.assertIn("/".join(rest), _sources(package))
        else:
          self.assertTrue(target.exists())
        if anchor:
          self.assertIn(anchor, _anchors(target))


if __name__ == "__main__":
  absltest.main()
