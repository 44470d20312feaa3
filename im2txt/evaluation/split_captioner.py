"""Captions each image of a split once, with a model whose weights change.

A few of the images, always the same ones, are shown with their captions in
TensorBoard; this module also draws these.
"""

from collections.abc import Iterator
import functools
import io
import itertools
import os
from typing import NamedTuple
from typing import Unpack

from absl import logging
import matplotlib
from matplotlib import font_manager
from matplotlib import ft2font
import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont
import tensorflow as tf

from im2txt import captioning
from im2txt import show_and_tell_model
from im2txt.data import caption_data
from im2txt.data import distinct_images
from im2txt.inference import captions
from im2txt.inference_utils import vocabulary
from im2txt.ops import beam_search

_LOG_EVERY_N_IMAGES = 1000

# Layout of the sample images, in pixels.
_WIDTH = 320
_FONT_SIZE = 20
_MARGIN = 8
_NUM_LETTERS_LOGGED = 10

# Has Latin, Greek, Cyrillic, Arabic and more.
_FONT = os.path.join(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
# Characters without a glyph: spaces, joiners and variation selectors.
_INVISIBLE = frozenset(" \u200b\u200c\u200d\ufe0e\ufe0f")

# The captions of each image, best first, by image id in the order of the split.
CaptionsById = dict[int, list[captions.Caption]]


class SplitCaptioner:
  """Captioner of a split, which uses the current weights of a model.

  Attributes:
    data: The records.
    split: The images and reference captions in the records.
  """

  def __init__(
      self,
      model: show_and_tell_model.ShowAndTellModel,
      vocab: vocabulary.Vocabulary,
      data: caption_data.CaptionData,
      **search_options: Unpack[captioning.SearchOptions],
  ):
    """Reads the reference captions of the split.

    Args:
      model: The model, in mode "eval".
      vocab: The vocabulary that the model was trained with.
      data: The records.
      **search_options: Beam search options; see `captioning.SearchOptions`.

    Raises:
      ValueError: If the vocabulary does not fit the model, or a record is
        invalid.
    """
    vocab.check_fits(model.vocab_size)
    self.data = data
    self.split = distinct_images.scan(data, vocab)
    self._model = model
    self._vocab = vocab

    def search(images: tf.Tensor) -> beam_search.BeamSearchResult:
      return beam_search.beam_search(
          model.decode_step,
          model.initial_states(images),
          start_id=vocab.start_id,
          end_id=vocab.end_id,
          **search_options,
      )

    self._search = tf.function(search, autograph=False)

  def caption(self) -> CaptionsById:
    """Captions all images.

    Returns:
      The captions of each image, best first, by image id.

    Raises:
      ValueError: If an image can't be decoded; the message names its file.
    """
    batches = distinct_images.image_batches(
        self.data,
        self.split,
        feature_size=self._model.encoder.feature_size,
    )
    search = self._search.get_concrete_function(batches.element_spec)
    image_ids = self.split.image_ids
    results: CaptionsById = {}
    for batch in self.data.explained(batches):
      for image_captions in captions.from_search(search(batch), self._vocab):
        results[image_ids[len(results)]] = image_captions
        if len(results) % _LOG_EVERY_N_IMAGES == 0:
          logging.info(
              "Captioned %d of %d images.", len(results), len(image_ids)
          )
    return results


class Sample(NamedTuple):
  """An image shown in TensorBoard after each evaluation.

  Attributes:
    image_id: The image id.
    picture: The image, 320 pixels wide; None if only its features are stored.
  """

  image_id: int
  picture: Image.Image | None


def choose_samples(captioner: SplitCaptioner, count: int) -> list[Sample]:
  """Chooses images at equal distances, the same ones in each call.

  Args:
    captioner: The captioner of the split.
    count: The number of samples, if the split has as many images.

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


def draw_caption(picture: Image.Image, text: str) -> np.ndarray:
  """Draws a caption below an image.

  Args:
    picture: The image.
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


def sample_table(
    samples: list[Sample],
    results: CaptionsById,
    split: distinct_images.Split,
) -> str:
  """Returns a Markdown table with a caption and a reference per sample."""
  rows = ["| image | caption | p | reference |", "| ---: | --- | ---: | --- |"]
  for image_id, _ in samples:
    cells = [str(image_id), *("", "")]
    if results[image_id]:
      best = results[image_id][0]
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
  """Returns the path of DejaVu, or of a system font that has all letters."""
  if not (missing := letters - _letters(_FONT)):
    return _FONT
  # Sorted, so that each call chooses the same font.
  for path in sorted(font_manager.findSystemFonts()):
    if letters <= _letters(path):
      return path
  logging.warning(
      "No font on this system has all the letters %s of a caption, so the"
      " images in TensorBoard show boxes instead. Install such a font, for"
      " example the Debian packages fonts-noto-core and fonts-noto-cjk. The"
      " text tab shows all letters.",
      "".join(sorted(missing)[:_NUM_LETTERS_LOGGED]),
  )
  return _FONT


@functools.cache
def _letters(path: str) -> frozenset[str]:
  """Returns the letters in a font; empty if it can't be read."""
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
