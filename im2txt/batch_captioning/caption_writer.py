"""What `run_inference` writes: a file of captions, or a folder with a page."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import csv
import glob
import io
import json
import os
import pathlib
from typing import NamedTuple

from im2txt.evaluation import coco_results
from im2txt.inference import captions
from im2txt.report import html_report
from im2txt.runtime import atomic_files

_CSV_HEADER = ("file", "rank", "caption", "probability", "log_probability")


# The form that is a folder: a page and copies of the pictures.
HTML = "html"


class FileCaptions(NamedTuple):
  """What was said of an image file.

  Attributes:
    file: The file's path.
    captions: Its captions, the best first.
  """

  file: str
  captions: Sequence[captions.Caption]


def render(
    name: str,
    found: Iterable[FileCaptions],
    image_ids: Mapping[str, int] | None = None,
) -> Iterator[str]:
  """Writes captions in the form of a name.

  Args:
    name: "text", "jsonl", "csv" or "coco_results".
    found: The captions.
    image_ids: The ids by file, for "coco_results".

  Returns:
    The pieces of text.
  """
  if name == "coco_results":
    return coco(found, image_ids or {})
  return {"text": text, "jsonl": jsonl, "csv": csv_rows}[name](found)


def text(found: Iterable[FileCaptions]) -> Iterator[str]:
  """What the original prints: a line for an image and one for each caption."""
  for file, said in found:
    lines = [f"Captions for image {os.path.basename(file)}:"]
    for i, caption in enumerate(said):
      lines.append(f"  {i}) {caption.sentence} (p={caption.probability:f})")
    yield "\n".join(lines) + "\n"


def jsonl(found: Iterable[FileCaptions]) -> Iterator[str]:
  """A JSON object on a line for each image, with all that is known."""
  for file, said in found:
    entry = {"file": file, "captions": [_fields(caption) for caption in said]}
    yield json.dumps(entry) + "\n"


def csv_rows(found: Iterable[FileCaptions]) -> Iterator[str]:
  """A header, and a row for each caption; ranks start at 1."""
  yield _csv_row(_CSV_HEADER)
  for file, said in found:
    for rank, caption in enumerate(said, 1):
      yield _csv_row(
          (
              file,
              rank,
              caption.sentence,
              caption.probability,
              caption.log_probability,
          )
      )


def coco(
    found: Iterable[FileCaptions], image_ids: Mapping[str, int]
) -> Iterator[str]:
  """A results file for the COCO tools, with the best caption of each image.

  Args:
    found: The captions.
    image_ids: The ids by file.

  Returns:
    The pieces of text.
  """
  return coco_results.pieces(
      (image_ids[file], said[0].sentence if said else "")
      for file, said in found
  )


def from_json(line: str | bytes) -> FileCaptions:
  """Reads a line that `jsonl` gave.

  Args:
    line: The line.

  Returns:
    What was said of its image.

  Raises:
    ValueError: If it is no such line.
  """
  try:
    entry = json.loads(line)
    said = [_caption(**fields) for fields in entry["captions"]]
    return FileCaptions(entry["file"], said)
  except (KeyError, TypeError) as error:
    raise ValueError(f"It holds no captions: {line!r}.") from error


def _fields(caption: captions.Caption) -> dict:
  return {
      "caption": caption.sentence,
      "probability": caption.probability,
      "log_probability": caption.log_probability,
      "score": caption.score,
      "word_probabilities": caption.word_probabilities,
      "end_probability": caption.end_probability,
  }


def _caption(
    *, caption: str, probability: float, word_probabilities: list, **fields
) -> captions.Caption:
  del probability  # It follows from its logarithm.
  return captions.Caption(
      words=tuple(caption.split(" ")) if caption else (),
      word_probabilities=tuple(word_probabilities),
      **fields,
  )


def _csv_row(values: Sequence) -> str:
  row = io.StringIO()
  csv.writer(row, lineterminator="\n").writerow(values)
  return row.getvalue()


def check(path: str, form: str) -> None:
  """Finds what `write` would find wrong after hours of captioning.

  Args:
    path: As of `write`.
    form: As of `write`.

  Raises:
    FileNotFoundError: If there is no folder to write in.
    ValueError: If `path` is something that can't be replaced.
  """
  if form == HTML:
    html_report.check(pathlib.Path(path))
  else:
    atomic_files.check(path)
  if not pathlib.Path(path).parent.is_dir():
    raise FileNotFoundError(f"There is no folder for the file {path!r}.")


def write(
    path: str,
    form: str,
    found: Iterable[FileCaptions],
    *,
    image_ids: Mapping[str, int],
    summary: str,
) -> None:
  """Writes captions, whole or not at all.

  Args:
    path: The file to make or to replace; or the folder of a page: missing,
      empty, or an earlier page's, which is replaced.
    form: "html" for a page, or what `caption_formats.render` takes.
    found: The captions. Few are in memory at once.
    image_ids: As of `caption_formats.render`.
    summary: A sentence or two below the page's heading.
  """
  if form == HTML:
    html_report.write(
        pathlib.Path(path),
        title="Captions",
        summary=summary,
        figures={},
        pictures=map(_picture, found),
    )
    return
  folder, name = os.path.split(path)
  with (
      atomic_files.temporaries_removed(folder or ".", glob.escape(name)),
      atomic_files.create(path) as file,
  ):
    for piece in render(form, found, image_ids):
      # A file's name that is no UTF-8 stays as it is.
      file.write(piece.encode(errors="surrogateescape"))


def _picture(found: FileCaptions) -> html_report.Picture:
  captions = [
      html_report.Caption(caption.sentence, caption.probability)
      for caption in found.captions
  ]
  return html_report.Picture(pathlib.Path(found.file), captions, [])
