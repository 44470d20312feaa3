"""Splits images into train, val and test, with ids, files and captions."""

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
          caption_sources.CaptionedImage(
              next(numbers) or 0, path, image.captions
          )
      )
  return datasets


def images_with_captions(
    datasets: Datasets, say: Callable[[str], None]
) -> Datasets:
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
  """Returns where an image is, or would be."""
  # Karpathy's names have a folder, which may be one of the image folders.
  names = [name, Path(name).name]
  # How a file system spells an accent may differ from how the data do.
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
  """Reads captions and parts them in the way that the arguments tell.

  Args:
    source: The file with all captions; or by split, a file for each, and then
      nothing else parts them.
    form: See `caption_sources.read`.
    lists: See `by_lists`; empty if there are none.
    fractions: See `by_fractions`; those of `_FRACTIONS` stand for missing ones.
      If empty, splits that the data know come first.
    seed: See `by_fractions`.
    restval_trains: See `by_data`.
    say: Called with a line on images that are in no split, if there are any.

  Returns:
    The images of each split.

  Raises:
    FileNotFoundError: If one of the files is missing.
    ValueError: If one of the arguments can't be used.
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
  """Parts images as the data say; those without a split are in none.

  Args:
    images: The images.
    restval_trains: Whether images of "restval" are in train, or else in none.

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
  """Parts images by lists of their names; those in no list are in no split.

  Args:
    images: The images.
    lists: By split, a text file with an image's name on each line, with or
      without the suffix that it has in the data.

  Returns:
    The images of each split, in the order of the data.

  Raises:
    FileNotFoundError: If there is no such list.
    ValueError: If a list names an image that the data lack, or without suffix
      one of several, or two lists name the same one.
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
        raise ValueError(f"{path} names {name}, of which there is no caption.")
      if len(names) > 1:
        raise ValueError(f"{path} names {name}: is it {' or '.join(names)}?")
      found = names[0]
      if splits_of.setdefault(found, split) != split:
        raise ValueError(f"{name} is in {splits_of[found]} and in {split}.")
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
  """Parts images by chance.

  Args:
    images: The images.
    fractions: What parts of the images "val" and "test" get; "train" gets the
      rest.
    seed: Of the choice, which depends on the images' names and not on their
      order.

  Returns:
    The images of each split, in the order of the data.

  Raises:
    ValueError: If the fractions are more than the whole.
  """
  if sum(fractions.values()) > 1:
    raise ValueError(
        "The fractions of val and test are more than the whole:"
        f" {' + '.join(map(str, fractions.values()))} > 1."
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
