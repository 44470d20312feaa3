"""Parts images into train, val and test, each image with all its captions."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import os
import random

from im2txt.data import caption_sources
from im2txt.data import text_files

NAMES = ("train", "val", "test")

_FRACTIONS = {"val": 0.1, "test": 0.1}

Splits = dict[str, list[caption_sources.SourceImage]]


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
