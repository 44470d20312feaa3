"""A few fixed images with their captions, to follow them in TensorBoard."""

from collections.abc import Iterator
import functools
import io
import itertools
import os
from typing import NamedTuple

from absl import logging
import matplotlib
from matplotlib import font_manager
from matplotlib import ft2font
import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from im2txt.evaluation import split_captioner
from im2txt.input_data import distinct_images

_WIDTH = 320
_FONT_SIZE = 20
_MARGIN = 8
_LETTERS_NAMED = 10

# Of Latin, Greek, Cyrillic, Arabic and more.
_FONT = os.path.join(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
# They have no shape of their own: spaces, joiners and variation selectors.
_INVISIBLE = frozenset(" \u200b\u200c\u200d\ufe0e\ufe0f")


class Sample(NamedTuple):
  """An image that is shown after each evaluation.

  Attributes:
    image_id: Its id.
    picture: The picture, 320 pixels wide; None if only its features are known.
  """

  image_id: int
  picture: Image.Image | None


def choose(
    captioner: split_captioner.SplitCaptioner, count: int
) -> list[Sample]:
  """Takes images at equal distances, the same ones at each call.

  Args:
    captioner: What captions the split.
    count: How many; all if there are fewer.

  Returns:
    The samples, in the order of the split.
  """
  image_ids = captioner.split.image_ids
  count = min(count, len(image_ids))
  places = [len(image_ids) * i // count for i in range(count)]
  if captioner.data.are_features:
    return [Sample(image_ids[place], None) for place in places]
  encoded = distinct_images.encoded_images(captioner.data, captioner.split)
  wanted = set(places)
  return [
      Sample(image_ids[place], _open(image))
      for place, image in enumerate(
          itertools.islice(encoded, places[-1] + 1 if places else 0)
      )
      if place in wanted
  ]


def with_caption(picture: Image.Image, text: str) -> np.ndarray:
  """Writes a caption below a picture.

  Args:
    picture: The picture.
    text: The caption.

  Returns:
    A uint8 array of shape [1, height, width, 3].
  """
  font = _font(text)
  lines = list(_wrap(text, font, picture.width - 2 * _MARGIN))
  line_height = round(1.4 * _FONT_SIZE)
  height = picture.height + len(lines) * line_height + 2 * _MARGIN
  sheet = Image.new("RGB", (picture.width, height), "white")
  sheet.paste(picture)
  ImageDraw.Draw(sheet).multiline_text(
      (_MARGIN, picture.height + _MARGIN),
      "\n".join(lines),
      fill="black",
      font=font,
      spacing=line_height - _FONT_SIZE,
  )
  return np.asarray(sheet)[np.newaxis]


def table(
    samples: list[Sample],
    found: split_captioner.Found,
    split: distinct_images.Split,
) -> str:
  """A table in Markdown: what the model says, and what people do."""
  rows = ["| image | caption | p | a person's |", "| ---: | --- | ---: | --- |"]
  for image_id, _ in samples:
    cells = [str(image_id), *("", "")]
    if found[image_id]:
      best = found[image_id][0]
      cells[1:] = best.sentence, f"{best.probability:.2g}"
    cells.append(split.references[image_id][0])
    rows.append(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
    )
  return "\n".join(rows)


def _open(encoded_image: bytes) -> Image.Image:
  picture = Image.open(io.BytesIO(encoded_image)).convert("RGB")
  height = max(1, round(picture.height * _WIDTH / picture.width))
  return picture.resize((_WIDTH, height))


def _font(text: str) -> ImageFont.FreeTypeFont:
  letters = frozenset(text) - _INVISIBLE
  return ImageFont.truetype(_find_font(letters), _FONT_SIZE)


@functools.cache
def _find_font(letters: frozenset[str]) -> str:
  """Returns the file of DejaVu, or of a system's font that has more letters."""
  if not (missing := letters - _letters(_FONT)):
    return _FONT
  # In an order that is the same at each call.
  for path in sorted(font_manager.findSystemFonts()):
    if letters <= _letters(path):
      return path
  logging.warning(
      "No font of this system has all the letters %s of a caption, so the"
      " pictures in TensorBoard show boxes in their place. Install one, such as"
      " the Debian packages fonts-noto-core and fonts-noto-cjk. The text tab"
      " shows any letters.",
      "".join(sorted(missing)[:_LETTERS_NAMED]),
  )
  return _FONT


@functools.cache
def _letters(path: str) -> frozenset[str]:
  """Returns the letters that a font has; none if it can't be read."""
  try:
    return frozenset(map(chr, ft2font.FT2Font(path).get_charmap()))
  except (OSError, RuntimeError):
    return frozenset()


def _wrap(text: str, font, width: int) -> Iterator[str]:
  line = ""
  for word in text.split():
    longer = f"{line} {word}".strip()
    if line and font.getlength(longer) > width:
      yield line
      longer = word
    line = longer
  yield line
