"""Tests of which modules may import which: "Layers" in g3doc/design.md."""

import ast
from collections.abc import Iterator
from pathlib import Path

from absl.testing import absltest

# Packages and modules, from the bottom up; each imports only from lower layers.
# All others are programs, which no module imports. `inference_wrapper_base` has
# the import path of the original, but belongs on top of what it loads.
_LAYERS = (
    (
        "runtime",
        "ops",
        "configuration",
        "presets",
        "common_flags",
        "search_flags",
    ),
    ("networks", "distributed", "inference_utils"),
    ("show_and_tell_model", "data", "checkpointing"),
    ("inference", "training", "report"),
    ("captioning", "inference_utils.inference_wrapper_base"),
    ("evaluation", "export", "serving", "inference_wrapper"),
    ("batch_captioning", "shapes", "metric_flags"),
)
_LEVELS = {name: level for level, names in enumerate(_LAYERS) for name in names}


def _modules() -> dict[str, ast.Module]:
  """Returns all modules but tests and what is for tests, by their names."""
  return {
      ".".join(path.relative_to("im2txt").with_suffix("").parts): ast.parse(
          path.read_text(encoding="utf-8")
      )
      for path in Path("im2txt").rglob("*.py")
      if not path.stem.endswith("_test")
      and path.stem != "__init__"
      and path.parent.name != "testing"
  }


def _imports(module: ast.Module) -> Iterator[str]:
  """Yields the full names of imported modules, also inside functions."""
  for node in ast.walk(module):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _listed(module: str) -> str:
  """Returns the listed name that a module belongs to, or its own."""
  package = module.split(".")[0]
  return package if package in _LEVELS and module not in _LEVELS else module


class LayersTest(absltest.TestCase):
  modules: dict[str, ast.Module]

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.modules = _modules()

  def _importers(self, prefix: str) -> list[str]:
    return [
        name
        for name, module in self.modules.items()
        if any(imported.startswith(prefix) for imported in _imports(module))
    ]

  def test_modules_import_from_lower_layers_only(self):
    for name, module in self.modules.items():
      level = _LEVELS.get(_listed(name), len(_LAYERS))
      for imported in _imports(module):
        root, _, target = imported.partition(".")
        if root != "im2txt" or _listed(target) == _listed(name):
          continue
        with self.subTest(f"{name} imports {target}"):
          self.assertLess(_LEVELS.get(_listed(target), len(_LAYERS)), level)

  def test_every_listed_name_exists(self):
    self.assertGreater(len(self.modules), 90)
    self.assertContainsSubset(_LEVELS, map(_listed, self.modules))

  def test_design_lists_the_layers(self):
    design = " ".join(Path("g3doc/design.md").read_text().split())
    self.assertIn(
        " < ".join(", ".join(names) for names in [*_LAYERS, ["programs"]]),
        design,
    )

  def test_only_the_encoder_imports_tf_slim(self):
    self.assertEqual(self._importers("tf_slim"), ["ops.image_embedding"])

  def test_only_programs_define_flags(self):
    programs = [
        name
        for name, module in self.modules.items()
        if "__name__ == '__main__'" in ast.unparse(module)
    ]
    self.assertCountEqual(
        set(self._importers("absl.flags")) - set(programs),
        # `program` formats --help and reports unknown flags for all programs.
        ["common_flags", "metric_flags", "search_flags", "runtime.program"],
    )


if __name__ == "__main__":
  absltest.main()
