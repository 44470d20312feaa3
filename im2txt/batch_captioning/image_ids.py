"""The ids of images, by which the COCO tools know them, from file names."""

from collections.abc import Iterable
import os
import re
import unicodedata

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
  listed = _Listed(captions_file) if captions_file else None
  found: dict[str, int] = {}
  of_ids: dict[int, str] = {}
  for file in files:
    image_id = (
        listed.image_id(file) if listed else _number(os.path.basename(file))
    )
    if image_id in of_ids:
      raise ValueError(
          f"{of_ids[image_id]} and {file} have the same image id, {image_id}."
          " Pass only one of them."
      )
    found[file] = image_id
    of_ids[image_id] = file
  return found


class _Listed:
  """The ids of the files that a captions JSON lists.

  A file is listed by its name, by its place in a folder (a/1.jpg), or by its
  whole path.
  """

  def __init__(self, captions_file: str):
    """Reads the JSON; raises what `find` does."""
    self._captions_file = captions_file
    self._by_name: dict[str, dict[str, int]] = {}
    for path, image_id in captions_json.load_image_ids(captions_file).items():
      path = _normalized(path)
      self._by_name.setdefault(os.path.basename(path), {})[path] = image_id

  def image_id(self, file: str) -> int:
    """Returns the id of a file; raises a ValueError if it has none."""
    whole = _normalized(file if "://" in file else os.path.abspath(file))
    paths = self._by_name.get(os.path.basename(whole), {})
    matches = [p for p in paths if f"/{whole}".endswith(f"/{p.lstrip('/')}")]
    if matches:
      return paths[max(matches, key=len)]
    if len(paths) == 1:  # The pictures were moved.
      return next(iter(paths.values()))
    if paths:
      raise ValueError(
          f"{self._captions_file} lists several images called"
          f" {os.path.basename(file)!r}, such as {min(paths)}, but not {file}."
      )
    raise ValueError(
        f"{self._captions_file} lists no image {os.path.basename(file)!r}."
    )


def _normalized(path: str) -> str:
  return unicodedata.normalize("NFC", path.replace("\\", "/"))


def _number(name: str) -> int:
  match = _MSCOCO_NAME.fullmatch(os.path.splitext(name)[0])
  if not match:
    raise ValueError(
        f"{name!r} has no image id in its name, as 000000224477.jpg or"
        " COCO_val2014_000000224477.jpg have. Name a captions JSON that lists"
        " ids by file_name: --captions_file."
    )
  return int(match[1])
