"""Runs the commands of the docs, to check that they work.

  python -m tools.check_docs README.md g3doc/*.md

The commands of a page run in order, in a small environment made for the page
(see docs_world), and must succeed. Commands that can't run in a test are
skipped: docs_world.NOT_RUN.
"""

from collections.abc import Iterable
from concurrent import futures
from pathlib import Path
import re
import shutil
import subprocess
import sys
import tempfile

from tools import docs_commands
from tools import docs_world

_PROGRAM = re.compile(r"bazel-bin/im2txt/(\w+)")
_SETTING = re.compile(r"^(?:export )?\w+=.*$", re.MULTILINE)
_LINES_SHOWN = 30


class DocsError(Exception):
  """A failure of a command of a page."""


def check(page: Path, world: docs_world.World) -> int:
  """Runs the commands of a page.

  Args:
    page: A Markdown file.
    world: The environment of the commands, which they change.

  Returns:
    The number of blocks of commands.

  Raises:
    DocsError: If a command fails; with its line and the end of its output.
  """
  blocks = docs_commands.find(page.read_text(encoding="utf-8"))
  # Variables that a block sets are available in later blocks.
  settings: list[str] = []
  try:
    for block in blocks:
      if can_run(block.script):
        _run(world, page, block, settings)
      settings += _SETTING.findall(block.script)
  finally:
    world.stop_servers()
  return len(blocks)


def can_run(script: str) -> bool:
  """Returns whether a block can run in a test."""
  return (
      script.split()[0] not in docs_world.NOT_RUN and "TF_CONFIG" not in script
  )


def _run(world, page: Path, block: docs_commands.Block, settings) -> None:
  known = {*docs_world.PROGRAMS, *docs_world.NOT_RUN}
  unknown = set(_PROGRAM.findall(block.script)) - known
  if unknown:
    raise DocsError(f"{page}:{block.line}: unknown program: {unknown}.")
  try:
    world.run("\n".join([*settings, block.script]))
  except subprocess.CalledProcessError as error:
    end = "\n".join(error.stdout.splitlines()[-_LINES_SHOWN:])
    raise DocsError(
        f"{page}:{block.line}: exit status {error.returncode} of\n"
        f"{block.script}\n{end}"
    ) from None


def check_all(pages: Iterable[Path], folder: Path) -> list[str]:
  """Checks pages, each in its own environment, two at a time.

  Args:
    pages: The Markdown files.
    folder: An existing folder for the environments.

  Returns:
    The first error of each page that has one.
  """
  first = docs_world.World(folder / "world")
  first.fill()

  def fault(page: Path) -> str | None:
    world = first.copy(folder / page.name)
    try:
      print(f"{page}: {check(page, world)} blocks of commands", flush=True)
    except DocsError as error:
      return str(error)
    finally:
      shutil.rmtree(world.home)
    return None

  # While they start, which is most of their time here, programs use one core.
  with futures.ThreadPoolExecutor(2) as pool:
    return list(filter(None, pool.map(fault, pages)))


def main() -> int:
  """Checks the pages given as arguments; returns the exit status."""
  with tempfile.TemporaryDirectory() as folder:
    faults = check_all(map(Path, sys.argv[1:]), Path(folder))
  print("\n".join(faults), file=sys.stderr)
  return 1 if faults else 0


if __name__ == "__main__":
  raise SystemExit(main())
