"""Reads and writes COCO results files, the caption format of the COCO tools.

    [{"image_id": 139, "caption": "a woman stands in the kitchen ."}, ...]

The COCO server expects each image of the split exactly once, and the file name
captions_<split>_<name>_results.json. Other fields are ignored.
"""

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
import json
from pathlib import Path
from typing import Any

from im2txt.data import json_values
from im2txt.runtime import atomic_files

_FORM = '[{"image_id": 139, "caption": "a caption"}, ...]'


def write(path: str, captions: Iterable[tuple[int, str]]) -> None:
  """Writes a results file, atomically.

  Args:
    path: The file; its folder must exist.
    captions: Pairs of image id and caption. For `read(n_best=True)`, but not
      for the COCO server, an image may occur several times, best caption first.
  """
  with atomic_files.create(path) as file:
    for piece in pieces(captions):
      file.write(piece.encode())


def pieces(captions: Iterable[tuple[int, str]]) -> Iterator[str]:
  """Generates the text of a results file in pieces.

  Args:
    captions: Pairs of image id and caption, as in `write`.

  Yields:
    One piece of text per caption, and pieces for the start and the end.
  """
  yield "["
  separator = ""
  for image_id, caption in captions:
    result = {"image_id": image_id, "caption": caption}
    yield separator + json.dumps(result)
    separator = ", "
  yield "]"


def read(
    path: str,
    image_ids: Collection[int],
    *,
    allow_missing: bool = False,
    n_best: bool = False,
) -> dict[int, list[str]]:
  """Reads a results file.

  Args:
    path: The file.
    image_ids: The ids of the images that should have captions.
    allow_missing: Whether images may be missing.
    n_best: Whether an image may have several captions, best first.

  Returns:
    The captions by image id, in the order of `image_ids`: one per image unless
    `n_best`. Captions may be empty.

  Raises:
    FileNotFoundError: If the file does not exist.
    ValueError: If the file is not a results file, or an image is unknown,
      missing or repeated.
  """
  captions: dict[int, list[str]] = {image_id: [] for image_id in image_ids}
  results = _load(path)
  unknown = {i for i, _ in results if i not in captions}
  if unknown:
    raise ValueError(
        f"{path} has captions without references, of {_describe(unknown)}. Give"
        " references and captions of the same split."
    )
  for image_id, caption in results:
    captions[image_id].append(caption)
  repeated = [i for i, texts in captions.items() if len(texts) > 1]
  if repeated and not n_best:
    raise ValueError(
        f"{path} has several captions of {_describe(repeated)}. Give one per"
        " image, or use --n_best."
    )
  missing = [i for i, texts in captions.items() if not texts]
  if missing and not allow_missing:
    raise ValueError(
        f"{path} has no caption of {_describe(missing)}. Use --allow_missing to"
        " score the other images."
    )
  return {i: texts for i, texts in captions.items() if texts}


def _load(path: str) -> list[tuple[int, str]]:
  if not Path(path).is_file():
    raise FileNotFoundError(f"The results file {path!r} does not exist.")
  try:
    content = json_values.parse(Path(path).read_bytes())
  except ValueError as error:
    raise ValueError(f"{path} is not valid JSON: {error}.") from None
  if not isinstance(content, list):
    raise ValueError(
        f"{path} is not a results file: it must be a list, {_FORM}. Got: a"
        f" {type(content).__name__}."
    )
  for number, result in enumerate(content, start=1):
    if not _is_result(result):
      raise ValueError(
          f"{path} is not a results file: it must be {_FORM}, with an integer"
          f" and a string. Entry {number} is: {str(result)[:100]}."
      )
  if not content:
    raise ValueError(f"{path} contains no captions.")
  return [
      (json_values.required_image_id(result["image_id"]), result["caption"])
      for result in content
  ]


def _is_result(value: Any) -> bool:
  try:
    json_values.required_image_id(value["image_id"])
    return isinstance(value["caption"], str)
  except (KeyError, TypeError, ValueError):
    return False


def _describe(image_ids: Collection[int]) -> str:
  if len(image_ids) == 1:
    return f"image {min(image_ids)}"
  return f"{len(image_ids)} images, such as {min(image_ids)}"
