"""Captions on their way to a file, safe from the end of the program.

    with caption_journal.Journal(path, settings, resume=True) as journal:
      for found in captions_of(f for f in files if f not in journal):
        journal.add(found)
      for found in journal.read(files):
        ...
      journal.remove()

The journal is a file of JSON lines: how the captions are made, then what was
said of each image, appended as soon as it is known. Whenever the program is
killed, a line is there, or it is not, or the last one is cut short; so a run
that resumes loses nothing but that last one and has nothing twice.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import fcntl
import json
from pathlib import Path
from typing import Any
from typing import BinaryIO

from im2txt import caption_formats
from im2txt.data import whole_file

_SETTINGS = "im2txt captions made with"


class Journal:
  """What was said of some files, on disk; in memory are only places there."""

  def __init__(self, path: str, settings: Mapping[str, Any], *, resume: bool):
    """Opens or makes a journal.

    Args:
      path: The journal's path; its folder must exist.
      settings: All that captions depend on, as JSON takes it, by name.
      resume: Whether to go on with a journal that is there.

    Raises:
      ValueError: If there is one and it can't be gone on with: `resume` is
        false, it was made with other settings or is none, or another process is
        writing it.
    """
    self._path = path
    self._places: dict[str, int] = {}
    self._file = self._open(settings, resume)
    try:
      self._lock()
      self._check_settings(self._file.readline(), settings)
      self._end = self._find_places(self._file.tell())
    except BaseException:
      self._file.close()
      raise

  def __enter__(self) -> "Journal":
    return self

  def __exit__(self, *exception: object) -> None:
    with self._named():
      self._file.close()
    if not self._places:
      self.remove()  # There is nothing to go on with.

  def __contains__(self, file: str) -> bool:
    return file in self._places

  def add(self, found: caption_formats.FileCaptions) -> None:
    """Appends what was said of a file that is not there yet."""
    (line,) = caption_formats.jsonl([found])
    with self._named():
      self._file.seek(self._end)
      self._file.write(line.encode("ascii"))
      self._file.flush()  # To the system, which outlives the program.
    self._places[found.file] = self._end
    self._end = self._file.tell()

  def read(
      self, files: Iterable[str]
  ) -> Iterator[caption_formats.FileCaptions]:
    """What was said of files, without those of which nothing was.

    Args:
      files: The files.

    Yields:
      For each file that is in the journal what was said of it.
    """
    for file in files:
      if file in self._places:
        self._file.seek(self._places[file])
        yield caption_formats.from_json(self._file.readline())

  def remove(self) -> None:
    """Deletes the journal, when it has become something better."""
    Path(self._path).unlink(missing_ok=True)

  @contextlib.contextmanager
  def _named(self) -> Iterator[None]:
    """Adds the name to the errors of a full disk, which come without."""
    try:
      yield
    except OSError as error:
      error.filename = self._path
      raise

  def _open(self, settings: Mapping[str, Any], resume: bool) -> BinaryIO:
    if not Path(self._path).exists():
      with whole_file.create(self._path) as file:
        file.write(json.dumps({_SETTINGS: settings}).encode("ascii") + b"\n")
    elif not resume:
      raise ValueError(
          f"{self._path} is of a run that was interrupted. Go on with it by"
          " --resume, or delete it."
      )
    return open(self._path, "r+b")

  def _lock(self) -> None:
    try:
      fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise ValueError(f"Another process is writing {self._path}.") from None

  def _check_settings(self, line: bytes, settings: Mapping[str, Any]) -> None:
    try:
      found = json.loads(line)[_SETTINGS]
    except (ValueError, LookupError, TypeError):
      raise ValueError(
          f"{self._path} was not written by run_inference. Move it away."
      ) from None
    for name, value in json.loads(json.dumps(settings)).items():
      if found.get(name) != value:
        raise ValueError(
            f"{self._path} was made with {name}={found.get(name)}, not {value}."
            " Resume with the same, or delete it."
        )

  def _find_places(self, end: int) -> int:
    """Finds the lines of images; returns where the whole ones end."""
    for line in self._file:
      try:
        file = caption_formats.from_json(line).file
      except ValueError:  # Of a line that is cut short.
        break
      if not line.endswith(b"\n"):
        break
      self._places[file] = end
      end += len(line)
    self._file.truncate(end)
    return end
