"""Reads captions in the formats of common data sets.

- mscoco: MSCOCO's captions JSON, with `images` and `annotations`.
- karpathy: `dataset_coco.json`, `dataset_flickr8k.json`, ..., with `images`,
  their `sentences` and their `split`.
- flickr: lines `name.jpg#0<tab>caption`, as in `Flickr8k.token.txt` and
  `results_20130124.token`.
- csv: a table with a header row and columns separated by commas, semicolons,
  tabs or bars; or Flickr30k's `results.csv`, which is almost such a table.
- jsonl: one JSON object per line, or a JSON array of such objects.

In tables and JSON objects, the image file is in a column or field named image,
image_name, file_name, filename, file or path, and the caption in one named
caption, comment, sentence or text. An object may have a list `captions`
instead. The columns image_id and split are optional.

Captions are normalized to Unicode's form NFC, in which a letter with an accent
is one character.

MSCOCO's captions JSON, which the builders also write:

    {"images": [{"id": 139, "file_name": "000000000139.jpg", ...}, ...],
     "annotations": [{"image_id": 139, "caption": "A room ...", ...}, ...]}

Other fields are ignored. Annotations need no id of their own.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import csv
import io
from pathlib import Path
import re
from typing import Any
from typing import NamedTuple
import unicodedata

from im2txt.data import json_values
from im2txt.data import text_files

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
# Not parsed as a table, because quotation marks belong to the captions and a
# line of image 2199200615 has no second bar.
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

# The location of a row in the file, for error messages, and its value.
_Row = tuple[str, Any]


class CaptionedImage(NamedTuple):
  """An image file and its captions."""

  image_id: int
  path: str
  captions: list[str]


def load_captions(
    captions_file: str, image_dir: str | None
) -> list[CaptionedImage]:
  """Loads the images of a captions file with their captions.

  Args:
    captions_file: The path of the JSON file.
    image_dir: The folder that the file names in the JSON are relative to. If
      None, file names are not needed and the paths are empty.

  Returns:
    The images in the order of the JSON's `images`, each with its captions in
    the order of `annotations`. An image may have none.

  Raises:
    FileNotFoundError: If the file is missing.
    ValueError: If the file has another format, lists an image twice, or has a
      caption of an image that it does not list.
  """
  content = _load_json(captions_file)
  with _explained(captions_file):
    return _captioned_images(content, image_dir)


def load_image_ids(captions_file: str) -> dict[str, int]:
  """Loads the ids of images by file name, with or without captions.

  Args:
    captions_file: The path of the JSON file.

  Returns:
    The ids by `file_name`.

  Raises:
    FileNotFoundError: If the file is missing.
    ValueError: If the file has another format, or lists a name or an id twice.
  """
  content = _load_json(captions_file)
  with _explained(captions_file):
    image_ids: dict[str, int] = {}
    for image in content["images"]:
      name = json_values.text(image["file_name"], "a file name")
      if name in image_ids:
        raise ValueError(f"it lists the file {name!r} more than once.")
      image_ids[name] = json_values.required_image_id(image["id"])
    if len(set(image_ids.values())) < len(image_ids):
      raise ValueError("it gives several files the same id.")
    return image_ids


def content_of(images: Sequence[CaptionedImage]) -> dict[str, Any]:
  """Returns the content of MSCOCO's captions JSON for some images.

  Args:
    images: The images, whose paths become file names.

  Returns:
    An object with "images" (id, file_name) and "annotations" (id, image_id,
    caption), numbered from 0.
  """
  pairs = [(i.image_id, caption) for i in images for caption in i.captions]
  return {
      "images": [{"id": i.image_id, "file_name": i.path} for i in images],
      "annotations": [
          {"id": number, "image_id": image_id, "caption": caption}
          for number, (image_id, caption) in enumerate(pairs)
      ],
  }


def _captioned_images(
    content: dict[str, Any], image_dir: str | None
) -> list[CaptionedImage]:
  images: dict[int, CaptionedImage] = {}
  for image in content["images"]:
    image_id = json_values.required_image_id(image["id"])
    if image_id in images:
      raise ValueError(f"it lists the image {image_id} more than once.")
    path = ""
    if image_dir is not None:
      name = json_values.text(image["file_name"], "a file name")
      path = str(Path(image_dir, name))
    images[image_id] = CaptionedImage(image_id, path, [])
  if "annotations" not in content or (images and not content["annotations"]):
    raise ValueError(
        "it lists images without captions, like the files of a test set"
        " (image_info_*.json)."
    )
  for annotation in content["annotations"]:
    image_id = json_values.required_image_id(annotation["image_id"])
    if image_id not in images:
      raise ValueError(
          f"it has a caption of image {image_id}, which it does not list."
      )
    if "caption" not in annotation:
      raise ValueError(
          "its annotations, like those of instances_*.json, are not captions:"
          " the field 'caption' is missing."
      )
    images[image_id].captions.append(
        json_values.text(
            annotation["caption"], f"a caption of image {image_id}"
        )
    )
  return list(images.values())


@contextlib.contextmanager
def _explained(captions_file: str) -> Iterator[None]:
  """Adds the name of the file to errors in its content."""
  try:
    yield
  except KeyError as error:
    problem = f"the field {error} is missing."
  except (TypeError, ValueError) as error:
    problem = str(error)
  else:
    return
  raise ValueError(f"{captions_file} is not a captions JSON: {problem}")


def _load_json(path: str) -> dict[str, Any]:
  if not Path(path).is_file():
    raise FileNotFoundError(f"There is no captions file {path!r}.")
  try:
    content = json_values.parse(Path(path).read_bytes())
  except ValueError as error:
    raise ValueError(f"{path} is not valid JSON: {error}.") from None
  if not isinstance(content, dict):
    raise ValueError(
        f'{path} is not a captions JSON: it must be an object with "images" and'
        f' "annotations". Got: a {type(content).__name__}.'
    )
  return content


class SourceImage(NamedTuple):
  """An image as described by a file of captions.

  Attributes:
    file_name: The name of the image file.
    captions: The captions of the image.
    image_id: The id of the image; None if the file has none.
    split: "train", "val", "test" or "restval" (Karpathy's name for validation
      images of MSCOCO to train with); None if the file has none.
  """

  file_name: str
  captions: list[str]
  image_id: int | None = None
  split: str | None = None


def read(path: str, form: str = "auto") -> list[SourceImage]:
  """Reads a file of captions.

  Args:
    path: The path of the file; see `text_files.read`.
    form: One of `FORMS`, or "auto" to recognize the format by the content.

  Returns:
    The images in the order of the file, each once.

  Raises:
    FileNotFoundError: If the file is missing.
    ValueError: If the file has another format, or contradicts itself.
  """
  text = text_files.read(path, "captions file")
  form = detect(text) if form == "auto" else form
  try:
    images = FORMS[form](path, text)
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise ValueError(
        f"{path} can't be read as {form} captions: {_describe(error)}"
    ) from None
  if not any(image.captions for image in images):
    raise ValueError(f"{path} has no captions.")
  return images


def detect(text: str) -> str:
  """Recognizes the format of a captions file by its content."""
  if text.lstrip()[:1] in ("{", "["):
    try:
      content = json_values.parse(text)
    except ValueError:  # More than one object.
      return "jsonl"
    if not isinstance(content, dict) or "images" not in content:
      return "jsonl"
    # MSCOCO's files may have no captions, for example those of a test set.
    return "karpathy" if _has_sentences(content["images"]) else "mscoco"
  first_line = text.lstrip().partition("\n")[0]
  return "flickr" if _FLICKR_LINE.match(first_line) else "csv"


def _has_sentences(images: Any) -> bool:
  """Returns whether the objects of images contain their captions."""
  return isinstance(images, list) and any(
      isinstance(image, dict) and {"sentences", "filename"} & image.keys()
      for image in images
  )


def _read_mscoco(path: str, text: str) -> list[SourceImage]:
  del text
  return [
      _normalized(SourceImage(image.path, image.captions, image.image_id))
      for image in load_captions(path, "")
  ]


def _read_karpathy(path: str, text: str) -> list[SourceImage]:
  del path
  images = []
  for image in json_values.parse(text)["images"]:
    captions = [sentence["raw"] for sentence in image["sentences"]]
    image_id = json_values.image_id(image.get("cocoid", image.get("imgid")))
    name = str(Path(image.get("filepath", ""), image["filename"]))
    split = _split(image.get("split"))
    images.append(_normalized(SourceImage(name, captions, image_id, split)))
  return images


def _read_flickr(path: str, text: str) -> list[SourceImage]:
  del path
  return _of_lines(text, _FLICKR_LINE, "NAME#NUMBER<tab>CAPTION")


def _read_csv(path: str, text: str) -> list[SourceImage]:
  del path
  head = text.lstrip("\r\n").partition("\n")[0]
  if head.rstrip() == _FLICKR30K_HEAD:
    rows = text.replace(head, "", 1)
    return _of_lines(rows, _FLICKR30K_LINE, "NAME| NUMBER| CAPTION")
  return _merged(_table_rows(text, head))


def _table_rows(text: str, head: str) -> Iterator[_Row]:
  """Yields the rows of a table, each with the number of its first line."""
  # The most frequent delimiter in the header row. On a tie, the one that is
  # rarest in captions.
  rows = csv.reader(
      _lines(text),
      delimiter=max(_DELIMITERS, key=head.count),
      skipinitialspace=True,
      strict=True,
  )
  csv.field_size_limit(2**31 - 1)
  names: list[str] = []
  line = 1
  while True:
    try:
      row = next(rows, None)
    except csv.Error as error:
      raise ValueError(
          f"line {line}: {error}. A caption with quotation marks must be"
          ' quoted, with its own marks doubled: "a ""quoted"" word".'
      ) from None
    if row is None:
      return
    if row and not names:
      names = [name.strip().lower() for name in row]
      _column(names, _IMAGE_COLUMNS)
      _column(names, _CAPTION_COLUMNS)
    elif row:
      if len(row) != len(names):
        raise ValueError(
            f"line {line} has {len(row)} columns, but the header row has"
            f" {len(names)}. Is there a quotation mark too many or too few?"
        )
      yield f"line {line}", dict(zip(names, row, strict=True))
    line = rows.line_num + 1


def _read_jsonl(path: str, text: str) -> list[SourceImage]:
  del path
  if text.lstrip().startswith("["):
    objects = json_values.parse(text)
    return _merged((f"object {i}", o) for i, o in enumerate(objects, start=1))
  return _merged(_json_lines(text))


def _json_lines(text: str) -> Iterator[_Row]:
  """Yields the parsed value of each line."""
  for number, line in enumerate(text.split("\n"), start=1):
    if line.strip():
      try:
        yield f"line {number}", json_values.parse(line)
      except ValueError as error:
        reason = str(error).removeprefix("line 1, ")
        raise ValueError(f"line {number}: {reason}") from None


FORMS: Mapping[str, Callable[[str, str], list[SourceImage]]] = {
    "mscoco": _read_mscoco,
    "karpathy": _read_karpathy,
    "flickr": _read_flickr,
    "csv": _read_csv,
    "jsonl": _read_jsonl,
}


def _of_row(row: Any) -> SourceImage:
  """Returns the image in a row of a table or in a JSON object."""
  if not isinstance(row, Mapping):
    raise ValueError(f"an image must be an object. Got: {row!r}.")
  captions = row[_column(row, _CAPTION_COLUMNS)]
  if not isinstance(captions, str | list):
    raise ValueError(f"a caption must be a string. Got: {captions!r}.")
  return _normalized(
      SourceImage(
          row[_column(row, _IMAGE_COLUMNS)],
          [captions] if isinstance(captions, str) else captions,
          json_values.image_id(row.get("image_id")),
          _split(row.get("split")),
      )
  )


def _of_lines(
    text: str, pattern: re.Pattern[str], form: str
) -> list[SourceImage]:
  """Returns the images in lines.

  Args:
    text: The lines.
    pattern: Pattern of a line, whose groups are the name and the caption.
    form: Description of a line for error messages.
  """

  def rows() -> Iterator[_Row]:
    for number, line in enumerate(_lines(text), start=1):
      if not line.strip():
        continue
      match = pattern.fullmatch(line.rstrip("\r\n"))
      if match is None:
        raise ValueError(f"line {number} is not {form}. Got: {line[:60]!r}.")
      yield f"line {number}", {"image": match[1], "caption": match[2]}

  return _merged(rows())


def _lines(text: str) -> Iterator[str]:
  """Returns the lines with their ends. Only line feeds end a line."""
  return iter(io.StringIO(text, newline=""))


def _column(names: Iterable[str], known: tuple[str, ...]) -> str:
  """Returns the first known column that is in `names`."""
  names = list(names)
  for name in known:
    if name in names:
      return name
  raise ValueError(
      f"none of the columns {', '.join(known)} is among {', '.join(names)}."
  )


def _split(name: Any) -> str | None:
  if name is None or name == "":
    return None
  try:
    return _SPLITS[str(name).strip().lower()]
  except KeyError:
    raise ValueError(f"a split is train, val or test. Got: {name!r}.") from None


def _merged(rows: Iterable[_Row]) -> list[SourceImage]:
  """Merges the rows of each image.

  Args:
    rows: The location of each row in the file, for error messages, and the row.

  Returns:
    The images, each with all its captions.

  Raises:
    ValueError: If a row is invalid. The message has its location.
  """
  images: dict[str, SourceImage] = {}
  for place, row in rows:
    try:
      image = _of_row(row)
      first = images.setdefault(image.file_name, image._replace(captions=[]))
      if image[2:] != first[2:]:
        raise ValueError(
            f"this row of {image.file_name} has another image_id or split than"
            " the previous ones."
        )
    except (KeyError, TypeError, ValueError) as error:
      raise ValueError(f"{place}: {_describe(error)}") from None
    first.captions.extend(image.captions)
  return list(images.values())


def _describe(error: Exception) -> str:
  if isinstance(error, KeyError):
    return f"the field {error} is missing."
  if isinstance(error, AttributeError | TypeError):
    return "a value has the wrong type."
  return str(error)


def _normalized(image: SourceImage) -> SourceImage:
  name = json_values.text(image.file_name, "a file name")
  captions = [
      unicodedata.normalize(
          "NFC", json_values.text(caption, f"a caption of {name}")
      )
      for caption in image.captions
  ]
  return image._replace(captions=captions)
