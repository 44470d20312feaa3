"""Reads and writes results files, in which the COCO tools take captions.

    [{"image_id": 139, "caption": "a woman stands in the kitchen ."}, ...]

For the COCO server such a file holds each image of the split once, and is
called captions_<split>_<name>_results.json. Other fields are ignored.
"""

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
import json
from pathlib import Path
from typing import Any

from im2txt.data import json_values
from im2txt.runtime import whole_file

_FORM = '[{"image_id": 139, "caption": "a caption"}, ...]'


def write(path: str, captions: Iterable[tuple[int, str]]) -> None:
  """Writes a results file, whole or not at all.

  Args:
    path: The file; its folder must exist.
    captions: Image ids with what was said of the image. An image may come
      several times, best caption first, for `read(n_best=True)`; not for the
      COCO server.
  """
  with whole_file.create(path) as file:
    for piece in pieces(captions):
      file.write(piece.encode())


def pieces(captions: Iterable[tuple[int, str]]) -> Iterator[str]:
  """The text of a results file, piece by piece.

  Args:
    captions: As of `write`.

  Yields:
    A piece for each caption, and what comes before and after them.
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
    image_ids: Of the images that it should hold.
    allow_missing: Whether some of them may be missing.
    n_best: Whether an image may have several captions, best first.

  Returns:
    By image id, in the order of `image_ids`, its captions: one, unless
    `n_best`. They may be empty.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If it is not a results file, it holds other images, or not all,
      or an image several times.
  """
  captions: dict[int, list[str]] = {image_id: [] for image_id in image_ids}
  results = _load(path)
  unknown = {i for i, _ in results if i not in captions}
  if unknown:
    raise ValueError(
        f"{path} has captions of {_images(unknown)}, which the references do"
        " not list. Do both belong to the same split?"
    )
  for image_id, caption in results:
    captions[image_id].append(caption)
  repeated = [i for i, said in captions.items() if len(said) > 1]
  if repeated and not n_best:
    raise ValueError(
        f"{path} has several captions of {_images(repeated)}; one of each is"
        " scored, or with --n_best the first and the best."
    )
  missing = [i for i, said in captions.items() if not said]
  if missing and not allow_missing:
    raise ValueError(
        f"{path} has no caption of {_images(missing)}; with --allow_missing"
        " the others are scored."
    )
  return {i: said for i, said in captions.items() if said}


def _load(path: str) -> list[tuple[int, str]]:
  if not Path(path).is_file():
    raise FileNotFoundError(f"There is not a results file {path!r}.")
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
          f" and a string. Got as number {number}: {str(result)[:100]}."
      )
  if not content:
    raise ValueError(f"{path} holds no captions.")
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


def _images(image_ids: Collection[int]) -> str:
  if len(image_ids) == 1:
    return f"image {min(image_ids)}"
  return f"{len(image_ids)} images, such as {min(image_ids)}"
