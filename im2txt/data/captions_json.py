"""Reads and makes MSCOCO's captions JSON.

    {"images": [{"id": 139, "file_name": "000000000139.jpg", ...}, ...],
     "annotations": [{"image_id": 139, "caption": "A room ...", ...}, ...]}

Other fields are ignored; annotations have a number of their own.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from pathlib import Path
from typing import Any
from typing import NamedTuple

from im2txt.data import json_values


class CaptionedImage(NamedTuple):
  """An image file and what people said of it."""

  image_id: int
  path: str
  captions: list[str]


def load_captions(
    captions_file: str, image_dir: str | None
) -> list[CaptionedImage]:
  """Loads the images of a captions file with their captions.

  Args:
    captions_file: Path of the JSON.
    image_dir: Folder that the JSON's file names are relative to. None if only
      the captions matter; then file names may be missing, and paths are empty.

  Returns:
    The images in the order of the JSON's `images`, each with its captions in
    the order of `annotations`. An image may have none.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file is no such JSON, lists an image twice, or has a
      caption of an image that it doesn't list.
  """
  content = _load_json(captions_file)
  with _explained(captions_file):
    return _captioned_images(content, image_dir)


def load_image_ids(captions_file: str) -> dict[str, int]:
  """Loads the images' ids by their file names; there need be no captions.

  Args:
    captions_file: Path of the JSON.

  Returns:
    The ids by `file_name`.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file is no such JSON, or lists a name or an id twice.
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
  """What the JSON of some images holds.

  Args:
    images: The images; their paths become file names.

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
        "it lists images and holds no captions, as the files of a test set"
        " (image_info_*.json) do."
    )
  for annotation in content["annotations"]:
    image_id = json_values.required_image_id(annotation["image_id"])
    if image_id not in images:
      raise ValueError(f"it has a caption of image {image_id}, but no image.")
    if "caption" not in annotation:
      raise ValueError(
          "its annotations are not captions, as those of instances_*.json: the"
          " field 'caption' is missing."
      )
    images[image_id].captions.append(
        json_values.text(
            annotation["caption"], f"a caption of image {image_id}"
        )
    )
  return list(images.values())


@contextlib.contextmanager
def _explained(captions_file: str) -> Iterator[None]:
  """Says of what is wrong with a file's content which file it is."""
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
