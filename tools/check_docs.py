"""Runs the commands of the docs, so that they can't rot.

  python -m tools.check_docs README.md g3doc/*.md

Each page's commands run in order, in a small world made for the page (see
docs_world), and must end well. What can't run here is passed over:
docs_world.NOT_RUN.
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
  """A command of a page does not work."""


def check(page: Path, world: docs_world.World) -> int:
  """Runs the commands of a page.

  Args:
    page: A Markdown file.
    world: Where to run them; they change it.

  Returns:
    The number of blocks of commands.

  Raises:
    DocsError: If one fails, with its place and the end of its output.
  """
  blocks = docs_commands.find(page.read_text(encoding="utf-8"))
  # What an earlier block sets, later ones use.
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
  """Returns whether the program and machines of a block are available."""
  return (
      script.split()[0] not in docs_world.NOT_RUN and "TF_CONFIG" not in script
  )


def _run(world, page: Path, block: docs_commands.Block, settings) -> None:
  known = {*docs_world.PROGRAMS, *docs_world.NOT_RUN}
  unknown = set(_PROGRAM.findall(block.script)) - known
  if unknown:
    raise DocsError(f"{page}:{block.line}: no such program: {unknown}.")
  try:
    world.run("\n".join([*settings, block.script]))
  except subprocess.CalledProcessError as error:
    end = "\n".join(error.stdout.splitlines()[-_LINES_SHOWN:])
    raise DocsError(
        f"{page}:{block.line}: exit status {error.returncode} of\n"
        f"{block.script}\n{end}"
    ) from None


def check_all(pages: Iterable[Path], folder: Path) -> list[str]:
  """Checks pages, each in a world of its own, two at a time.

  Args:
    pages: Markdown files.
    folder: An existing folder for the worlds.

  Returns:
    What is wrong with the pages, if anything is; of each the first fault.
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

  # Programs that start, as most here do, use one core.
  with futures.ThreadPoolExecutor(2) as pool:
    return list(filter(None, pool.map(fault, pages)))


def main() -> int:
  """Checks the pages of the command line; returns the exit status."""
  with tempfile.TemporaryDirectory() as folder:
    faults = check_all(map(Path, sys.argv[1:]), Path(folder))
  print("\n".join(faults), file=sys.stderr)
  return 1 if faults else 0


if __name__ == "__main__":
  raise SystemExit(main())
