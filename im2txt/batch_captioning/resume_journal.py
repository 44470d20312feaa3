"""A journal of captions, which outlives an interrupted program.

    with resume_journal.Journal(output, settings, resume=True) as journal:
      for result in captioner.caption_files(journal.missing(files), ...):
        journal.add(result)
      for result in journal.read(files):
        ...  # Write the output.
      journal.finish()

The journal is a file of JSON lines: first the settings, then the captions of
each image, appended as soon as they are known. When the program is killed, only
the last line can be incomplete; a run that resumes drops that line, so no
caption is lost and none is repeated.

The journal is <output>.partial until the output is complete, and then
<output>.journal, for a later run with more files.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import json
import os
from pathlib import Path
from typing import Any
from typing import BinaryIO

from im2txt.batch_captioning import caption_writer
from im2txt.inference import captions
from im2txt.runtime import atomic_files
from im2txt.runtime import folder_lock

_SETTINGS = "im2txt captions made with"


class Journal:
  """Captions of files on disk; only their offsets are in memory."""

  def __init__(self, output: str, settings: Mapping[str, Any], *, resume: bool):
    """Opens or creates a journal.

    Args:
      output: The path of the output that will be written from the journal; its
        folder must exist.
      settings: The settings that captions depend on, by name; JSON values.
      resume: Whether to continue an existing journal, of an interrupted or a
        finished run. Otherwise the journal of a finished run is replaced.

    Raises:
      ValueError: If an existing journal cannot be resumed: it was interrupted
        and `resume` is false, has other settings, is not a journal, or is in
        use. With `resume`, also if the output exists without a journal.
    """
    self._path = f"{output}.partial"
    self._finished_path = f"{output}.journal"
    self._offsets: dict[str, int] = {}
    self._file = self._open(output, settings, resume)
    try:
      self._lock()
      self._check_settings(settings)
      self._end = self._read_offsets(self._file.tell())
      os.replace(self._file.name, self._path)
    except BaseException:
      self._file.close()
      raise

  def __enter__(self) -> "Journal":
    return self

  def __exit__(self, *exception: object) -> None:
    with atomic_files.errors_name(self._path):
      self._file.close()
    if not self._offsets:
      # An empty journal has nothing to resume.
      Path(self._path).unlink(missing_ok=True)

  def __contains__(self, file: str) -> bool:
    return file in self._offsets

  def missing(self, files: Iterable[str]) -> list[str]:
    """Returns the files that are not in the journal, in the same order."""
    return [file for file in files if file not in self]

  def add(self, result: captions.FileCaptions) -> None:
    """Appends the captions of a file that is not in the journal yet."""
    (line,) = caption_writer.jsonl([result])
    with atomic_files.errors_name(self._path):
      self._file.seek(self._end)
      self._file.write(line.encode("ascii"))
      self._file.flush()  # The operating system outlives the program.
    self._offsets[result.file] = self._end
    self._end = self._file.tell()

  def read(self, files: Iterable[str]) -> Iterator[captions.FileCaptions]:
    """Reads the captions of those files that are in the journal.

    Args:
      files: The paths of the files.

    Yields:
      The captions of each file in turn; files that are missing are skipped.
    """
    for file in files:
      if file in self._offsets:
        self._file.seek(self._offsets[file])
        yield caption_writer.from_json(self._file.readline())

  def finish(self) -> None:
    """Renames the journal after the output was written."""
    os.replace(self._path, self._finished_path)

  def _open(
      self, output: str, settings: Mapping[str, Any], resume: bool
  ) -> BinaryIO:
    """Opens the journal to resume, or a new one."""
    if os.path.exists(self._path):
      if not resume:
        raise ValueError(
            f"{self._path} is of a run that was interrupted. Continue it with"
            " --resume, or delete it."
        )
    elif resume and os.path.exists(self._finished_path):
      return open(self._finished_path, "r+b")
    elif resume and _is_nonempty(output):
      raise ValueError(
          f"{output} exists, but {self._finished_path} is missing, which"
          " --resume needs. Without --resume the output is replaced."
      )
    else:
      with atomic_files.create(self._path) as file:
        file.write(json.dumps({_SETTINGS: settings}).encode("ascii") + b"\n")
    return open(self._path, "r+b")

  def _lock(self) -> None:
    try:
      folder_lock.lock_file(self._file)
    except BlockingIOError:
      raise ValueError(
          f"Another process is writing {self._file.name}."
      ) from None

  def _check_settings(self, settings: Mapping[str, Any]) -> None:
    try:
      saved = json.loads(self._file.readline())[_SETTINGS]
    except (ValueError, LookupError, TypeError):
      raise ValueError(
          f"{self._file.name} was not written by run_inference. Move it away."
      ) from None
    for name, value in json.loads(json.dumps(settings)).items():
      if saved.get(name) != value:
        raise ValueError(
            f"{self._file.name} was made with {name}={saved.get(name)}, not"
            f" {value}. Resume with the same value, or delete the file."
        )

  def _read_offsets(self, end: int) -> int:
    """Reads the offsets of complete lines; returns their end."""
    for line in self._file:
      try:
        file = caption_writer.from_json(line).file
      except ValueError:  # The line is incomplete.
        break
      if not line.endswith(b"\n"):
        break
      self._offsets[file] = end
      end += len(line)
    self._file.truncate(end)
    return end


def _is_nonempty(output: str) -> bool:
  """Returns whether a path is a file or a folder that is not empty."""
  return os.path.isfile(output) or (
      os.path.isdir(output) and bool(os.listdir(output))
  )
