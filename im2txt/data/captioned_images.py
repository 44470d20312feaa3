"""Numbers images and finds their files."""

import collections
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
import unicodedata

from im2txt.data import caption_sources
from im2txt.data import captions_json

Datasets = dict[str, list[captions_json.CaptionedImage]]


def find(
    splits: Mapping[str, Sequence[caption_sources.SourceImage]],
    image_dirs: Sequence[str],
    say: Callable[[str], None],
) -> Datasets:
  """Gives each image a number and a path.

  The numbers are those of the data, if each image has one of its own; else the
  images are numbered in their order, from 1.

  Args:
    splits: The images of each split.
    image_dirs: Folders to look for the files in, one after the other.
    say: Called with a line if images that have numbers get new ones.

  Returns:
    The images of each split. A file that is in no folder has the path where it
    would be in the first one.

  Raises:
    ValueError: If two images have the same file.
  """
  images = [image for split in splits.values() for image in split]
  ids = [image.image_id for image in images]
  num_known = len(ids) - ids.count(None)
  if num_known < len(ids) or len(set(ids)) < len(ids):
    if num_known:
      say(
          "Numbering the images anew, from 1, since"
          f" {_why_not(ids)}; see image_ids.txt."
      )
    ids = list(range(1, len(images) + 1))
  numbers = iter(ids)
  datasets: Datasets = {}
  split_of: dict[str, str] = {}
  for name, split in splits.items():
    datasets[name] = []
    for image in split:
      path = _path(image.file_name, image_dirs)
      if path in split_of:
        raise ValueError(
            f"The image {path} is in the data twice: in {split_of[path]} and in"
            f" {name}."
        )
      split_of[path] = name
      datasets[name].append(
          captions_json.CaptionedImage(next(numbers) or 0, path, image.captions)
      )
  return datasets


def with_captions(datasets: Datasets, say: Callable[[str], None]) -> Datasets:
  """Leaves out blank captions, images without captions, empty splits.

  Args:
    datasets: The images of each split.
    say: Called with a line on each split from which images were left out.

  Returns:
    What is left.
  """
  found = {}
  for name, images in datasets.items():
    spoken = [
        image._replace(captions=[c for c in image.captions if c.strip()])
        for image in images
    ]
    captioned = [image for image in spoken if image.captions]
    if len(captioned) < len(images):
      say(
          f"Leaving out {len(images) - len(captioned)} images of {name} without"
          " captions."
      )
    if captioned:
      found[name] = captioned
  return found


def _why_not(ids: Sequence[int | None]) -> str:
  """Returns why some ids are not those of a data set."""
  if None in ids:
    return f"{ids.count(None)} of {len(ids)} have no image_id"
  number, count = collections.Counter(ids).most_common(1)[0]
  return f"{count} of them have the image_id {number}"


def _path(name: str, image_dirs: Sequence[str]) -> str:
  """Where an image is, or would be."""
  # Karpathy's names have a folder, which may be one of the image folders.
  names = [name, Path(name).name]
  # How a file system spells an accent may differ from how the data do.
  names += [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
  paths = [Path(image_dir, n) for n in names for image_dir in image_dirs]
  return str(next((path for path in paths if path.is_file()), paths[0]))
