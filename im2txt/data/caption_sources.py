"""Reads captions in the forms in which data sets come.

- mscoco: MSCOCO's captions JSON, with `images` and `annotations`.
- karpathy: `dataset_coco.json`, `dataset_flickr8k.json`, ..., with `images`,
  their `sentences` and their `split`.
- flickr: lines `name.jpg#0<tab>caption`, as in `Flickr8k.token.txt` and
  `results_20130124.token`.
- csv: a table with a head, its columns parted by commas, semicolons, tabs or
  bars; or Flickr30k's `results.csv`, which looks like one.
- jsonl: a JSON object on each line, or a JSON array of such objects.

In a table, and in objects of JSON, the image's file is in a column called
image, image_name, file_name, filename, file or path, and the caption in one
called caption, comment, sentence or text. Objects may have several `captions`
instead. There may be columns image_id and split too.

Captions come out in Unicode's normal form NFC: a letter with an accent is one
character, however it was typed.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import csv
import io
import json
from pathlib import Path
import re
from typing import Any
from typing import NamedTuple
import unicodedata

from im2txt.data import captions_json

_IMAGE_COLUMNS = (
    "image",
    "image_name",
    "file_name",
    "filename",
    "file",
    "path",
)
_CAPTION_COLUMNS = ("captions", "caption", "comment", "sentence", "text")
_DELIMITERS = "|\t;,"
_FLICKR_LINE = re.compile(r"(\S.*?)#\d+[a-z]*\t\s*(.*)")
# No table: quotation marks are a caption's own, and image 2199200615 has a line
# without the second bar.
_FLICKR30K_HEAD = "image_name| comment_number| comment"
_FLICKR30K_LINE = re.compile(r"(\S.*?)\|\s*\d+(?:\s*\||\s)\s*(.*)")
_SPLITS = {
    "train": "train",
    "training": "train",
    "restval": "restval",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}


class SourceImage(NamedTuple):
  """An image and what the data say of it.

  Attributes:
    file_name: Its file's name, as the data have it.
    captions: What people said of it.
    image_id: Its number, if the data give it one.
    split: "train", "restval" (Karpathy's: MSCOCO's validation images that may
      train too), "val" or "test", if the data say so.
  """

  file_name: str
  captions: list[str]
  image_id: int | None = None
  split: str | None = None


def read(path: str, form: str = "auto") -> list[SourceImage]:
  """Reads a file of captions.

  Args:
    path: The file, in UTF-8.
    form: One of `FORMS`, or "auto" to tell by the content.

  Returns:
    The images in the order of the file, each once.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file isn't of that form, or contradicts itself.
  """
  if not Path(path).is_file():
    raise FileNotFoundError(f"There is no captions file {path!r}.")
  try:
    text = Path(path).read_bytes().decode("utf-8-sig")
  except UnicodeDecodeError as error:
    raise ValueError(f"{path} is no UTF-8 text: {error}.") from None
  form = detect(text) if form == "auto" else form
  try:
    images = [_normalized(image) for image in FORMS[form](path, text)]
  except (KeyError, TypeError, ValueError, csv.Error) as error:
    what = "it lacks the field " if isinstance(error, KeyError) else ""
    raise ValueError(
        f"{path} can't be read as {form} captions: {what}{error}"
    ) from None
  if not images:
    raise ValueError(f"{path} has no captions.")
  return images


def detect(text: str) -> str:
  """The form that the content of a captions file has."""
  if text.lstrip()[:1] in ("{", "["):
    try:
      content = json.loads(text)
    except ValueError:  # More than one object.
      return "jsonl"
    if isinstance(content, dict) and "annotations" in content:
      return "mscoco"
    if isinstance(content, dict) and "images" in content:
      return "karpathy"
    return "jsonl"
  first_line = text.lstrip().partition("\n")[0]
  return "flickr" if _FLICKR_LINE.match(first_line) else "csv"


def _read_mscoco(path: str, text: str) -> list[SourceImage]:
  del text
  return [
      SourceImage(image.path, image.captions, image.image_id)
      for image in captions_json.load_captions(path, "")
  ]


def _read_karpathy(path: str, text: str) -> list[SourceImage]:
  del path
  images = []
  for image in json.loads(text)["images"]:
    captions = [sentence["raw"] for sentence in image["sentences"]]
    image_id = image.get("cocoid", image.get("imgid"))
    name = str(Path(image.get("filepath", ""), image["filename"]))
    images.append(
        SourceImage(name, captions, image_id, _split(image.get("split")))
    )
  return images


def _read_flickr(path: str, text: str) -> list[SourceImage]:
  del path
  return _of_lines(text, _FLICKR_LINE, "NAME#NUMBER<tab>CAPTION")


def _read_csv(path: str, text: str) -> list[SourceImage]:
  del path
  text = text.lstrip("\r\n")
  head = text.partition("\n")[0]
  if head.rstrip() == _FLICKR30K_HEAD:
    rest = text[len(head) :]
    return _of_lines(rest, _FLICKR30K_LINE, "NAME| NUMBER| CAPTION")
  # The sign that parts names best; commas may be in captions, bars rarely are.
  delimiter = max(_DELIMITERS, key=head.count)
  rows = csv.DictReader(
      _lines(text),
      delimiter=delimiter,
      skipinitialspace=True,
      strict=True,
  )
  fields = [(name or "").strip().lower() for name in rows.fieldnames or ()]
  rows.fieldnames = fields
  _column(fields, _IMAGE_COLUMNS)
  _column(fields, _CAPTION_COLUMNS)
  images = []
  for row in rows:
    if None in row or None in row.values():
      raise ValueError(
          f"line {rows.line_num} has not the {len(fields)} columns of the head."
      )
    images.append(_of_row(row))
  return _merged(images)


def _read_jsonl(path: str, text: str) -> list[SourceImage]:
  del path
  if text.lstrip().startswith("["):
    return _merged(map(_of_row, json.loads(text)))
  images = []
  for number, line in enumerate(text.split("\n"), start=1):
    try:
      if line.strip():
        images.append(_of_row(json.loads(line)))
    except (KeyError, TypeError, ValueError) as error:
      raise ValueError(f"line {number}: {error}") from None
  return _merged(images)


FORMS: Mapping[str, Callable[[str, str], list[SourceImage]]] = {
    "mscoco": _read_mscoco,
    "karpathy": _read_karpathy,
    "flickr": _read_flickr,
    "csv": _read_csv,
    "jsonl": _read_jsonl,
}


def _of_row(row: Mapping[str, Any]) -> SourceImage:
  """The image of a row of a table or of an object of JSON."""
  if not isinstance(row, Mapping):
    raise ValueError(f"an image must be an object. Got: {row!r}.")
  captions = row[_column(row, _CAPTION_COLUMNS)]
  image_id = row.get("image_id")
  if isinstance(image_id, str):
    is_number = image_id.strip().isdecimal()
    image_id = int(image_id) if is_number else None
  return SourceImage(
      row[_column(row, _IMAGE_COLUMNS)],
      [captions] if isinstance(captions, str) else captions,
      image_id if type(image_id) is int else None,
      _split(row.get("split")),
  )


def _of_lines(
    text: str, pattern: re.Pattern[str], form: str
) -> list[SourceImage]:
  """The images of lines whose pattern has a group each of name and caption."""
  pairs = []
  for number, line in enumerate(_lines(text), start=1):
    if not line.strip():
      continue
    found = pattern.fullmatch(line.rstrip("\r\n"))
    if found is None:
      raise ValueError(f"line {number} is not {form}. Got: {line[:60]!r}.")
    pairs.append(SourceImage(found[1], [found[2]]))
  return _merged(pairs)


def _lines(text: str) -> Iterator[str]:
  """The lines with their ends; `str.splitlines` knows ends within captions."""
  return iter(io.StringIO(text, newline=""))


def _column(names: Iterable[str], known: tuple[str, ...]) -> str:
  """The first of some known columns that is there."""
  names = list(names)
  for name in known:
    if name in names:
      return name
  raise ValueError(
      f"none of the columns {', '.join(known)} is among {', '.join(names)}."
  )


def _split(name: str | None) -> str | None:
  if not name:
    return None
  try:
    return _SPLITS[name.strip().lower()]
  except KeyError:
    raise ValueError(f"a split is train, val or test. Got: {name!r}.") from None


def _merged(rows: Iterable[SourceImage]) -> list[SourceImage]:
  """The images of rows, each with all its captions."""
  images: dict[str, SourceImage] = {}
  for row in rows:
    first = images.setdefault(row.file_name, row._replace(captions=[]))
    if row[2:] != first[2:]:
      raise ValueError(
          f"the rows of {row.file_name} differ in their image_id or split."
      )
    first.captions.extend(row.captions)
  return list(images.values())


def _normalized(image: SourceImage) -> SourceImage:
  name = captions_json.text(image.file_name, "a file name")
  captions = [
      unicodedata.normalize(
          "NFC", captions_json.text(caption, f"a caption of {name}")
      )
      for caption in image.captions
  ]
  return image._replace(captions=captions)
