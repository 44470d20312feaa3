"""Runs a series of programs, one after the other, and resumes where it stopped.

A folder's `stages.json` tells what was done there and how long it took:

    {"settings": {"seed": 1}, "seconds": {"draw": 11.2, "build": 6.3}}

A stage that is in it is not run again. One that was interrupted is run anew, so
it must be one that can be: programs that replace their output, or continue it.
"""

from collections.abc import Callable
from collections.abc import Mapping
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time
from typing import Any
from typing import NamedTuple

from im2txt.runtime import whole_file

FILE_NAME = "stages.json"


class StageError(ValueError):
  """A program of a stage failed, and has said why."""


class Stage(NamedTuple):
  """A step of the series.

  Attributes:
    name: Its name in `stages.json`.
    title: What it does, for the user.
    run: Does it; raises an exception if it fails.
  """

  name: str
  title: str
  run: Callable[[], object]


class Command(NamedTuple):
  """A program of this project and its flags.

  Attributes:
    program: Its module below `im2txt`, such as "train" or
      "data.build_mscoco_data".
    flags: The values of the flags by their names.
    output_file: Where its standard output is kept, instead of on the screen.
  """

  program: str
  flags: Mapping[str, object]
  output_file: pathlib.Path | None = None

  def arguments(self) -> list[str]:
    """The flags as the program takes them."""
    return [f"--{name}={value}" for name, value in self.flags.items()]

  def shown(self) -> str:
    """The command as a user would type it, a flag a line."""
    name = self.program.rpartition(".")[2].removesuffix("_main")
    if "BUILD_WORKSPACE_DIRECTORY" in os.environ:  # Set by `bazel run`.
      words = f"bazel-bin/im2txt/{name}"
    else:
      words = f"python3 -m im2txt.{self.program}"
    lines = [words, *map(shlex.quote, self.arguments())]
    if self.output_file:
      lines.append(f"> {shlex.quote(str(self.output_file))}")
    return " \\\n    ".join(lines)

  def run(self) -> None:
    """Runs the program, after showing the command.

    Raises:
      StageError: If it ends with another status than 0.
    """
    print(f"\n  {self.shown()}\n", flush=True)
    if self.output_file is None:
      self._run(stdout=None)
    else:
      with whole_file.create(str(self.output_file)) as output:
        self._run(stdout=output)

  def _run(self, stdout: Any) -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            f"im2txt.{self.program}",
            *self.arguments(),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=stdout,
    )
    try:
      status = child.wait()
    finally:
      if child.poll() is None:  # This program was told to end.
        child.terminate()
        child.wait()
    if status:
      raise StageError(f"{self.program} failed with exit status {status}.")


class Journal:
  """What was done in a folder, kept in the folder.

  Attributes:
    seconds: How long each finished stage took, by its name.
  """

  def __init__(self, folder: pathlib.Path, settings: Mapping[str, Any]):
    """Opens the journal of a folder, or begins one.

    Args:
      folder: The folder; made if it is missing.
      settings: What the stages' results depend on, as JSON values.

    Raises:
      ValueError: If the folder was used with other settings, or for anything
        else.
    """
    self._path = folder / FILE_NAME
    self._settings = dict(settings)
    self.seconds: dict[str, float] = {}
    if self._path.exists():
      earlier = json.loads(self._path.read_text(encoding="utf-8"))
      if earlier["settings"] != self._settings:
        raise ValueError(
            f"{folder} was used with other settings: {earlier['settings']}, not"
            f" {self._settings}. Choose another folder, or delete it."
        )
      self.seconds.update(earlier["seconds"])
    elif folder.exists() and any(folder.iterdir()):
      raise ValueError(
          f"{folder} holds other things already. Choose another folder."
      )
    else:
      folder.mkdir(parents=True, exist_ok=True)
      self._write()

  def run(self, stage: Stage) -> bool:
    """Runs a stage, unless it is finished.

    Args:
      stage: The stage.

    Returns:
      Whether it was run now.
    """
    if stage.name in self.seconds:
      return False
    start = time.monotonic()
    stage.run()
    self.seconds[stage.name] = round(time.monotonic() - start, 1)
    self._write()
    return True

  def _write(self) -> None:
    content = {"settings": self._settings, "seconds": self.seconds}
    with whole_file.create(str(self._path)) as file:
      file.write((json.dumps(content, indent=2) + "\n").encode())
