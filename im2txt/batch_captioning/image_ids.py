"""The ids of images, by which the COCO tools know them, from file names."""

from collections.abc import Iterable
import os
import re

from im2txt.data import captions_json

# As MSCOCO names its images: COCO_val2014_000000224477.jpg, 000000224477.jpg.
_MSCOCO_NAME = re.compile(r"(?:COCO_\w+_)?(\d{12})")


def find(files: Iterable[str], captions_file: str = "") -> dict[str, int]:
  """Finds the id of each file.

  Args:
    files: The image files.
    captions_file: JSON of MSCOCO's form that lists file names with ids. Without
      one, the number in a file's name is the id, as in MSCOCO's names.

  Returns:
    The ids by file.

  Raises:
    FileNotFoundError: If there is no such captions file.
    ValueError: If it is another JSON, or a file has no id or that of another.
  """
  listed = captions_json.load_image_ids(captions_file) if captions_file else {}
  found: dict[str, int] = {}
  of_ids: dict[int, str] = {}
  for file in files:
    name = os.path.basename(file)
    if captions_file:
      if name not in listed:
        raise ValueError(f"{captions_file} lists no image {name!r}.")
      image_id = listed[name]
    else:
      image_id = _number(name)
    if image_id in of_ids:
      raise ValueError(
          f"{of_ids[image_id]} and {file} are the same image by their names,"
          f" {image_id}. Caption one of them."
      )
    found[file] = image_id
    of_ids[image_id] = file
  return found


def _number(name: str) -> int:
  match = _MSCOCO_NAME.fullmatch(os.path.splitext(name)[0])
  if not match:
    raise ValueError(
        f"{name!r} has no image id in its name, as 000000224477.jpg or"
        " COCO_val2014_000000224477.jpg have. Name a captions JSON that lists"
        " ids by file_name: --captions_file."
    )
  return int(match[1])
