"""Writes captions of files: as text, to a file, or as a page in a folder.

    caption_writer.write(path, "jsonl", results, image_ids={}, summary="")

`render` returns the same text in pieces, one file after the other, so that a
caption can be printed before the next one is known:

    for piece in caption_writer.render("jsonl", results):
      output.write(piece)

`from_json` reads a line of "jsonl" again.
"""

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

from im2txt.evaluation import coco_results
from im2txt.inference import captions
from im2txt.report import html_report
from im2txt.runtime import atomic_files

# The format that is a folder: a page and copies of the pictures.
HTML = "html"
_CSV_HEADER = ("file", "rank", "caption", "probability", "log_probability")


def check(path: str, form: str) -> None:
  """Checks, before hours of captioning, that `write` can write to a path.

  Args:
    path: The path to pass to `write`.
    form: The output format to pass to `write`.

  Raises:
    FileNotFoundError: If the folder to write in does not exist.
    ValueError: If `path` exists and cannot be replaced.
  """
  if form == HTML:
    html_report.check(pathlib.Path(path))
  else:
    atomic_files.check(path)
  if not pathlib.Path(path).parent.is_dir():
    raise FileNotFoundError(
        f"There is no folder for the file {path!r}. Create it first."
    )


def write(
    path: str,
    form: str,
    results: Iterable[captions.FileCaptions],
    *,
    image_ids: Mapping[str, int],
    summary: str,
) -> None:
  """Writes captions to a file or folder atomically.

  Args:
    path: The file to create or replace. For "html" the folder to create, or an
      empty folder or an earlier page to replace.
    form: The output format: "html" or one of the formats of `render`.
    results: The captions of each file; read one by one, so few are in memory.
    image_ids: The image id of each file, for "coco_results".
    summary: A sentence or two to show below the heading of a page.
  """
  if form == HTML:
    html_report.write(
        pathlib.Path(path),
        title="Captions",
        summary=summary,
        figures={},
        pictures=map(_picture, results),
    )
    return
  folder, name = os.path.split(path)
  with (
      atomic_files.temporaries_removed(folder or ".", glob.escape(name)),
      atomic_files.create(path) as file,
  ):
    for piece in render(form, results, image_ids):
      # A file name that is not UTF-8 is written as it is.
      file.write(piece.encode(errors="surrogateescape"))


def render(
    name: str,
    results: Iterable[captions.FileCaptions],
    image_ids: Mapping[str, int] | None = None,
) -> Iterator[str]:
  """Formats captions as pieces of text.

  Args:
    name: The format: "text", "jsonl", "csv" or "coco_results".
    results: The captions of each file.
    image_ids: The image id of each file, for "coco_results".

  Returns:
    An iterator of pieces of text, which takes results only as needed.
  """
  if name == "coco_results":
    return coco(results, image_ids or {})
  return {"text": text, "jsonl": jsonl, "csv": csv_rows}[name](results)


def text(results: Iterable[captions.FileCaptions]) -> Iterator[str]:
  """Yields the lines that the original prints: one per image and caption."""
  for file, file_captions, _ in results:
    lines = [f"Captions for image {os.path.basename(file)}:"]
    for i, caption in enumerate(file_captions):
      lines.append(f"  {i}) {caption.sentence} (p={caption.probability:f})")
    yield "\n".join(lines) + "\n"


def jsonl(results: Iterable[captions.FileCaptions]) -> Iterator[str]:
  """Yields a line of JSON per image, with all fields of its captions."""
  for file, file_captions, _ in results:
    entry = {
        "file": file,
        "captions": [_fields(caption) for caption in file_captions],
    }
    yield json.dumps(entry) + "\n"


def csv_rows(results: Iterable[captions.FileCaptions]) -> Iterator[str]:
  """Yields a header, then a row per caption; ranks start at 1."""
  yield _csv_row(_CSV_HEADER)
  for file, file_captions, _ in results:
    for rank, caption in enumerate(file_captions, 1):
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
    results: Iterable[captions.FileCaptions], image_ids: Mapping[str, int]
) -> Iterator[str]:
  """Formats the best caption of each image as results for the COCO tools.

  Args:
    results: The captions of each file.
    image_ids: The image id of each file.

  Returns:
    An iterator of pieces of text.
  """
  return coco_results.pieces(
      (image_ids[file], file_captions[0].sentence if file_captions else "")
      for file, file_captions, _ in results
  )


def from_json(line: str | bytes) -> captions.FileCaptions:
  """Parses a line that `jsonl` wrote.

  Args:
    line: The line.

  Returns:
    The file and its captions.

  Raises:
    ValueError: If the line is damaged or was not written by `jsonl`.
  """
  try:
    entry = json.loads(line)
    file_captions = [_caption(**fields) for fields in entry["captions"]]
    return captions.FileCaptions(entry["file"], file_captions)
  except (KeyError, TypeError) as error:
    raise ValueError(f"Not a line of captions: {line!r}.") from error


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


def _picture(result: captions.FileCaptions) -> html_report.Picture:
  captions = [
      html_report.ReportCaption(caption.sentence, caption.probability)
      for caption in result.captions
  ]
  return html_report.Picture(pathlib.Path(result.file), captions, [])
