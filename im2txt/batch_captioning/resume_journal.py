"""Captions on their way to a file, safe from the end of the program.

    with caption_journal.Journal(output, settings, resume=True) as journal:
      for found in captions_of(f for f in files if f not in journal):
        journal.add(found)
      for found in journal.read(files):
        ...  # Make the output of it.
      journal.finish()

The journal is a file of JSON lines: how the captions are made, then what was
said of each image, appended as soon as it is known. Whenever the program is
killed, a line is there, or it is not, or the last one is cut short; so a run
that resumes loses nothing but that last one and has nothing twice.

It is <output>.partial until the output is whole, and <output>.journal from then
on, for a later run that has more files to add.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import fcntl
import json
import os
from pathlib import Path
from typing import Any
from typing import BinaryIO

from im2txt.batch_captioning import caption_writer
from im2txt.runtime import atomic_files

_SETTINGS = "im2txt captions made with"


class Journal:
  """What was said of some files, on disk; in memory are only places there."""

  def __init__(self, output: str, settings: Mapping[str, Any], *, resume: bool):
    """Opens or makes a journal.

    Args:
      output: The path of what is to become of it; its folder must exist.
      settings: All that captions depend on, as JSON takes it, by name.
      resume: Whether to go on with a journal that is there, of a run that was
        interrupted or of one that was not. Otherwise the latter's is replaced.

    Raises:
      ValueError: If there is one and it can't be gone on with: it is of a run
        that was interrupted and `resume` is false, it was made with other
        settings or is none, or another process is writing it. Or if there is
        none, but an output to add to.
    """
    self._path = f"{output}.partial"
    self._finished_path = f"{output}.journal"
    self._places: dict[str, int] = {}
    self._file = self._open(output, settings, resume)
    try:
      self._lock()
      self._check_settings(settings)
      self._end = self._find_places(self._file.tell())
      os.replace(self._file.name, self._path)
    except BaseException:
      self._file.close()
      raise

  def __enter__(self) -> "Journal":
    return self

  def __exit__(self, *exception: object) -> None:
    with atomic_files.errors_name(self._path):
      self._file.close()
    if not self._places:
      # There is nothing to go on with.
      Path(self._path).unlink(missing_ok=True)

  def __contains__(self, file: str) -> bool:
    return file in self._places

  def add(self, found: caption_writer.FileCaptions) -> None:
    """Appends what was said of a file that is not there yet."""
    (line,) = caption_writer.jsonl([found])
    with atomic_files.errors_name(self._path):
      self._file.seek(self._end)
      self._file.write(line.encode("ascii"))
      self._file.flush()  # To the system, which outlives the program.
    self._places[found.file] = self._end
    self._end = self._file.tell()

  def read(self, files: Iterable[str]) -> Iterator[caption_writer.FileCaptions]:
    """What was said of files, without those of which nothing was.

    Args:
      files: The files.

    Yields:
      For each file that is in the journal what was said of it.
    """
    for file in files:
      if file in self._places:
        self._file.seek(self._places[file])
        yield caption_writer.from_json(self._file.readline())

  def finish(self) -> None:
    """Puts the journal aside, when the output is made of it."""
    os.replace(self._path, self._finished_path)

  def _open(
      self, output: str, settings: Mapping[str, Any], resume: bool
  ) -> BinaryIO:
    """Opens the journal to go on with, or a new one."""
    if os.path.exists(self._path):
      if not resume:
        raise ValueError(
            f"{self._path} is of a run that was interrupted. Go on with it by"
            " --resume, or delete it."
        )
    elif resume and os.path.exists(self._finished_path):
      return open(self._finished_path, "r+b")
    elif resume and _is_there(output):
      raise ValueError(
          f"{output} is there, but not {self._finished_path}, which --resume"
          " needs to add to it. Without --resume it is made anew."
      )
    else:
      with atomic_files.create(self._path) as file:
        file.write(json.dumps({_SETTINGS: settings}).encode("ascii") + b"\n")
    return open(self._path, "r+b")

  def _lock(self) -> None:
    try:
      fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise ValueError(
          f"Another process is writing {self._file.name}."
      ) from None

  def _check_settings(self, settings: Mapping[str, Any]) -> None:
    try:
      found = json.loads(self._file.readline())[_SETTINGS]
    except (ValueError, LookupError, TypeError):
      raise ValueError(
          f"{self._file.name} was not written by run_inference. Move it away."
      ) from None
    for name, value in json.loads(json.dumps(settings)).items():
      if found.get(name) != value:
        raise ValueError(
            f"{self._file.name} was made with {name}={found.get(name)}, not"
            f" {value}. Resume with the same, or delete it."
        )

  def _find_places(self, end: int) -> int:
    """Finds the lines of images; returns where the whole ones end."""
    for line in self._file:
      try:
        file = caption_writer.from_json(line).file
      except ValueError:  # Of a line that is cut short.
        break
      if not line.endswith(b"\n"):
        break
      self._places[file] = end
      end += len(line)
    self._file.truncate(end)
    return end


def _is_there(output: str) -> bool:
  """Whether there is a file, or a folder that holds something."""
  return os.path.isfile(output) or (
      os.path.isdir(output) and bool(os.listdir(output))
  )
