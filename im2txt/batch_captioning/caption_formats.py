"""The forms in which captions of files are written.

A form is a function from the captions of files, one file after the other, to
pieces of text, so that nothing waits for what comes later:

    for piece in caption_formats.render("jsonl", found):
      output.write(piece)

A line of `jsonl` can be read again, by `from_json`.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import csv
import io
import json
import os
from typing import NamedTuple

from im2txt.evaluation import coco_results
from im2txt.inference import captions

_CSV_HEADER = ("file", "rank", "caption", "probability", "log_probability")


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
