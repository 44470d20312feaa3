"""A fake captioner, whose captions describe the size of an image."""

from collections.abc import Iterable
from collections.abc import Iterator
import io
import threading
import types
from typing import Any

from PIL import Image

from im2txt import captioning
from im2txt.data import image_files
from im2txt.inference import captions


def image(width: int = 8, height: int = 6, kind: str = "png") -> bytes:
  """Returns an image file of the given size and format."""
  file = io.BytesIO()
  Image.new("RGB", (width, height), "teal").save(file, format=kind)
  return file.getvalue()


class FakeCaptioner:
  """A captioner with captions such as "a 5 by 4 .".

  Attributes:
    model: An object with the attributes of a model that servers use.
    go: Event that captioning waits for; set at first.
    batches: The number of images and the search options of each call.
    failure: An exception to raise instead of captioning; None to caption.
  """

  def __init__(self) -> None:
    self.model = types.SimpleNamespace(vocab_size=12000)
    self.go = threading.Event()
    self.go.set()
    self.batches: list[tuple[int, dict[str, Any]]] = []
    self.failure: Exception | None = None

  def caption_each(
      self,
      sources: Iterable[bytes],
      *,
      batch_size: int,
      max_pixels: int,
      respect_exif_orientation: bool,
      **options: Any,
  ) -> Iterator[list[captions.Caption] | captioning.ImageError]:
    """See `captioning.Captioner.caption_each`."""
    images = list(sources)
    if len(images) > batch_size:
      raise ValueError(f"{len(images)} images in a batch of {batch_size}.")
    self.batches.append((len(images), options))
    self.go.wait(timeout=60)
    if self.failure:
      raise self.failure
    for encoded in images:
      try:
        converted = image_files.to_jpeg(
            encoded,
            max_pixels=max_pixels,
            respect_exif_orientation=respect_exif_orientation,
        )
      except ValueError as error:
        yield captioning.ImageError(str(error))
      else:
        yield self._caption(converted, options["beam_size"])

  def _caption(self, encoded: bytes, beam_size: int):
    try:
      opened = Image.open(io.BytesIO(encoded))
      opened.load()
    except (OSError, SyntaxError):
      return captioning.ImageError(image_files.PROBLEM)
    return [
        captions.Caption(
            words=("a", str(opened.width), "by", str(opened.height), "."),
            log_probability=-1.0 - rank,
            word_probabilities=(0.9, 0.8, 1.0, 0.5, 0.99),
            end_probability=0.75,
            score=-1.0 - rank,
        )
        for rank in range(beam_size)
    ]
