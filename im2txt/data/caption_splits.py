"""Assigns images to the splits train, val and test, and finds their files."""

import collections
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import os
from pathlib import Path
import random
import unicodedata

from im2txt.data import caption_sources
from im2txt.data import text_files

Datasets = dict[str, list[caption_sources.CaptionedImage]]

NAMES = ("train", "val", "test")

_FRACTIONS = {"val": 0.1, "test": 0.1}

Splits = dict[str, list[caption_sources.SourceImage]]


def find_images(
    splits: Mapping[str, Sequence[caption_sources.SourceImage]],
    image_dirs: Sequence[str],
    say: Callable[[str], None],
) -> Datasets:
  """Assigns an id and a path to each image.

  The ids are those in the data, if each image has a unique one. Otherwise the
  images are numbered in order, from 1.

  Args:
    splits: The images of each split.
    image_dirs: The folders to search for the files, in this order.
    say: Called with a message if existing ids are replaced.

  Returns:
    The images of each split. The path of a missing file is in the first folder.

  Raises:
    ValueError: If two images have the same file.
  """
  images = [image for split in splits.values() for image in split]
  ids = [image.image_id for image in images]
  num_known = len(ids) - ids.count(None)
  if num_known < len(ids) or len(set(ids)) < len(ids):
    if num_known:
      say(
          "Assigning new image ids, from 1, because"
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
          caption_sources.CaptionedImage(
              next(numbers) or 0, path, image.captions
          )
      )
  return datasets


def images_with_captions(
    datasets: Datasets, say: Callable[[str], None]
) -> Datasets:
  """Leaves out blank captions, images without captions, and empty splits.

  Args:
    datasets: The images of each split.
    say: Called with a message for each split that loses images.

  Returns:
    The remaining images of each split.
  """
  remaining = {}
  for name, images in datasets.items():
    nonblank = [
        image._replace(captions=[c for c in image.captions if c.strip()])
        for image in images
    ]
    captioned = [image for image in nonblank if image.captions]
    if len(captioned) < len(images):
      say(
          f"Leaving out {len(images) - len(captioned)} images of {name} without"
          " captions."
      )
    if captioned:
      remaining[name] = captioned
  return remaining


def _why_not(ids: Sequence[int | None]) -> str:
  """Returns why the ids in the data can't be used."""
  if None in ids:
    return f"{ids.count(None)} of {len(ids)} have no image_id"
  number, count = collections.Counter(ids).most_common(1)[0]
  return f"{count} of them have the image_id {number}"


def _path(name: str, image_dirs: Sequence[str]) -> str:
  """Returns the path of an image, in the first folder if it is missing."""
  # Karpathy's names contain a folder, which may be one of the image folders.
  names = [name, Path(name).name]
  # The file system may use another Unicode form than the data.
  names += [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
  paths = [Path(image_dir, n) for n in names for image_dir in image_dirs]
  return str(next((path for path in paths if path.is_file()), paths[0]))


def load(
    source: str | Mapping[str, str],
    form: str,
    *,
    lists: Mapping[str, str],
    fractions: Mapping[str, float],
    seed: int,
    restval_trains: bool,
    say: Callable[[str], None],
) -> Splits:
  """Reads captions and assigns their images to splits.

  Args:
    source: The file with all captions; or a file per split, and then the other
      arguments are not used.
    form: See `caption_sources.read`.
    lists: See `by_lists`. If not empty, these are used.
    fractions: See `by_fractions`. Missing ones are those of `_FRACTIONS`. Used
      if not empty, or if the data contain no splits.
    seed: See `by_fractions`.
    restval_trains: See `by_data`.
    say: Called with a message if images are in no split.

  Returns:
    The images of each split.

  Raises:
    FileNotFoundError: If a file is missing.
    ValueError: If a file or an argument is invalid.
  """
  if not isinstance(source, str):
    return {
        name: caption_sources.read(path, form) for name, path in source.items()
    }
  images = caption_sources.read(source, form)
  if lists:
    splits = by_lists(images, lists)
  elif fractions or not any(image.split for image in images):
    splits = by_fractions(images, _FRACTIONS | {**fractions}, seed=seed)
  else:
    splits = by_data(images, restval_trains=restval_trains)
  left_out = len(images) - sum(map(len, splits.values()))
  if left_out:
    say(f"Leaving out {left_out} images that are in no split.")
  return splits


def by_data(
    images: Sequence[caption_sources.SourceImage], *, restval_trains: bool
) -> Splits:
  """Assigns images to their splits in the data, if they have one.

  Args:
    images: The images.
    restval_trains: Whether images of "restval" are in train. Otherwise they are
      in no split.

  Returns:
    The images of each split.
  """
  others = {"restval": "train"} if restval_trains else {}
  splits: Splits = {name: [] for name in NAMES}
  for image in images:
    name = others.get(image.split or "", image.split)
    if name in splits:
      splits[name].append(image)
  return splits


def by_lists(
    images: Sequence[caption_sources.SourceImage], lists: Mapping[str, str]
) -> Splits:
  """Assigns images to splits by lists of file names.

  Args:
    images: The images. Those that are in no list are in no split.
    lists: For each split, a text file with one image name per line, with or
      without the suffix that the name has in the data.

  Returns:
    The images of each split, in the order of the data.

  Raises:
    FileNotFoundError: If a list is missing.
    ValueError: If a list contains a name that is not in the data, or that is
      ambiguous without its suffix, or if two lists contain the same name.
  """
  known = {image.file_name for image in images}
  names_of: dict[str, list[str]] = {}
  for name in sorted(known):
    names_of.setdefault(os.path.splitext(name)[0], []).append(name)
  splits_of: dict[str, str] = {}
  for split, path in lists.items():
    for name in _lines(path):
      names = [name] if name in known else names_of.get(name, [])
      if not names:
        raise ValueError(f"{path} contains {name}, which has no caption.")
      if len(names) > 1:
        raise ValueError(
            f"{path} contains {name}, which may be {' or '.join(names)}. Add"
            " the suffix."
        )
      full_name = names[0]
      if splits_of.setdefault(full_name, split) != split:
        raise ValueError(f"{name} is in {splits_of[full_name]} and in {split}.")
  return by_data(
      [
          image._replace(split=splits_of.get(image.file_name))
          for image in images
      ],
      restval_trains=False,
  )


def by_fractions(
    images: Sequence[caption_sources.SourceImage],
    fractions: Mapping[str, float],
    *,
    seed: int,
) -> Splits:
  """Assigns images to splits at random.

  Args:
    images: The images.
    fractions: The fractions of the images that "val" and "test" get; "train"
      gets the rest.
    seed: Seed of the choice, which depends on the file names of the images and
      not on their order.

  Returns:
    The images of each split, in the order of the data.

  Raises:
    ValueError: If the sum of the fractions is greater than 1.
  """
  if sum(fractions.values()) > 1:
    raise ValueError(
        "The sum of the fractions of val and test is greater than 1:"
        f" {' + '.join(map(str, fractions.values()))}."
    )
  names = sorted({image.file_name for image in images})
  random.Random(seed).shuffle(names)
  splits_of = dict.fromkeys(names, "train")
  for split, fraction in fractions.items():
    drawn = names[: round(fraction * len(splits_of))]
    splits_of.update(dict.fromkeys(drawn, split))
    names = names[len(drawn) :]
  return by_data(
      [image._replace(split=splits_of[image.file_name]) for image in images],
      restval_trains=False,
  )


def _lines(path: str) -> list[str]:
  lines = text_files.read(path, "list of images").splitlines()
  return [line.strip() for line in lines if line.strip()]
