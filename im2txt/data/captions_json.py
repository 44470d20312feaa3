"""Reads MSCOCO's captions JSON.

    {"images": [{"id": 139, "file_name": "000000000139.jpg", ...}, ...],
     "annotations": [{"image_id": 139, "caption": "A room ...", ...}, ...]}

Other fields are ignored.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple


class CaptionedImage(NamedTuple):
  """An image file and what people said of it."""

  image_id: int
  path: str
  captions: list[str]


def load_captions(captions_file: str, image_dir: str) -> list[CaptionedImage]:
  """Loads the images of a captions file with their captions.

  Args:
    captions_file: Path of the JSON.
    image_dir: Folder that the JSON's file names are relative to.

  Returns:
    The images in the order of the JSON's `images`, each with its captions in
    the order of `annotations`. An image may have none.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file is no such JSON, repeats an image id, or has a
      caption of an image that it doesn't list.
  """
  content = _load_json(captions_file)
  try:
    images = {
        _int64(image["id"]): CaptionedImage(
            image["id"], str(Path(image_dir, image["file_name"])), []
        )
        for image in content["images"]
    }
    for annotation in content["annotations"]:
      images[annotation["image_id"]].captions.append(
          _text(annotation["caption"])
      )
  except KeyError as error:
    raise ValueError(
        f"{captions_file} is no captions JSON: no field or image id is"
        f" {error.args[0]!r} where one should be."
    ) from None
  except (TypeError, ValueError) as error:
    raise ValueError(
        f"{captions_file} is no captions JSON: {error}"
    ) from None
  if len(images) != len(content["images"]):
    raise ValueError(f"{captions_file} lists an image id more than once.")
  return list(images.values())


def _load_json(path: str) -> Any:
  if not Path(path).is_file():
    raise FileNotFoundError(f"There is no captions file {path!r}.")
  try:
    return json.loads(Path(path).read_bytes())
  except ValueError as error:  # Of the JSON or of its UTF-8.
    raise ValueError(f"{path} is no valid JSON: {error}.") from None


def _int64(value: Any) -> int:
  if type(value) is not int or not -(2**63) <= value < 2**63:
    raise ValueError(f"an image id must be a 64-bit integer. Got: {value!r}.")
  return value


def _text(value: Any) -> str:
  if not isinstance(value, str):
    raise ValueError(f"a caption must be a string. Got: {value!r}.")
  return value
