"""The pins, the venv that runs this and the ranges for pip agree.

Run it from the top of the source tree: python -m tools.requirements_test
"""

import importlib
from importlib import metadata
from pathlib import Path
import tomllib

from absl.testing import absltest
from packaging import requirements
from packaging import utils


def read_pins(file_name: str) -> list[requirements.Requirement]:
  """The requirements that a file of pip's lists."""
  lines = Path(file_name).read_text(encoding="utf-8").splitlines()
  return [
      requirements.Requirement(line)
      for line in lines
      if line and not line.startswith("#")
  ]


def read_project_dependencies() -> list[requirements.Requirement]:
  """What pyproject.toml says that im2txt itself depends on."""
  project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
  return [
      requirements.Requirement(line)
      for line in project["project"]["dependencies"]
  ]


def pinned_version(requirement: requirements.Requirement) -> str:
  """The version of a requirement of the form name==version."""
  (specifier,) = requirement.specifier
  if specifier.operator != "==":
    raise ValueError(f"Not pinned by ==: {requirement}")
  return specifier.version


class RequirementsTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.pins = {
        utils.canonicalize_name(pin.name): pinned_version(pin)
        for pin in read_pins("requirements.txt")
    }

  def test_venv_holds_the_pinned_versions(self):
    installed = {name: metadata.version(name) for name in self.pins}

    self.assertEqual(installed, self.pins)

  def test_project_dependencies_accept_the_pins(self):
    for dependency in read_project_dependencies():
      name = utils.canonicalize_name(dependency.name)
      self.assertIn(name, self.pins)
      self.assertTrue(
          dependency.specifier.contains(self.pins[name]),
          f"{dependency} does not accept {self.pins[name]}.",
      )

  def test_pins_are_the_dependencies_and_what_they_bring(self):
    pending = [
        utils.canonicalize_name(dependency.name)
        for dependency in read_project_dependencies()
    ]
    needed = set()
    while pending:
      name = pending.pop()
      if name not in needed:
        needed.add(name)
        pending += [
            utils.canonicalize_name(requirement.name)
            for requirement in map(
                requirements.Requirement, metadata.requires(name) or []
            )
            if not requirement.marker
            or requirement.marker.evaluate({"extra": ""})
        ]

    self.assertCountEqual(self.pins, needed)

  def test_project_dependencies_can_be_imported(self):
    names = {
        utils.canonicalize_name(dependency.name)
        for dependency in read_project_dependencies()
    }
    imported = set()
    for module, packages in metadata.packages_distributions().items():
      owners = names.intersection(map(utils.canonicalize_name, packages))
      if owners and not module.startswith("_"):
        importlib.import_module(module)
        imported |= owners

    self.assertEqual(imported, names)

  def test_developers_tools_are_pinned(self):
    for pin in read_pins("requirements_dev.txt"):
      self.assertNotEmpty(pinned_version(pin))


if __name__ == "__main__":
  absltest.main()
