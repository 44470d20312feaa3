"""Captions for many callers at once, within limits.

    images --batcher--> batches --caption_each--> captions

Images wait as the files that came. Their heads tell how many pixels they have:
a batch has so few that memory is bounded and others soon have their turn, and a
request of too many is refused. Knows nothing of HTTP; `application` does.
"""

import asyncio
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import io
import time
from typing import NamedTuple

from PIL import Image

from im2txt import captioning
from im2txt.data import image_files
from im2txt.inference import captions
from im2txt.serving import batcher

# An image's captions, the best first, or why there are none.
Outcome = list[captions.Caption] | captioning.ImageError


# In images of the largest size. Of a request: 32 of a phone's photographs have
# 384 million pixels. Of a batch: as many are decoded at once at most, and each
# pixel takes some 20 bytes then.
_REQUEST_PIXELS_IN_IMAGES = 10
_BATCH_PIXELS_IN_IMAGES = 2


class TooManyPixelsError(ValueError):
  """The images of a request have too many pixels together."""


class _Image(NamedTuple):
  encoded: bytes
  num_pixels: int  # That will be decoded.


class Options(NamedTuple):
  """How to search for captions; images of the same options share a batch."""

  beam_size: int = 3
  max_caption_length: int = 20
  length_normalization_factor: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
  """What a server takes on.

  Attributes:
    max_batch_size: The most images that the model captions at once.
    max_delay_secs: How long an image waits for others while the model is idle.
    max_waiting: The most images that wait; more are refused for the moment.
    max_waiting_bytes: The most bytes of images in work or waiting; a request
      of more is taken while there is no other.
    max_images: The most images of a request.
    max_pixels: The most pixels of an image; one of more is not decoded.
    respect_exif_orientation: Whether images that a camera noted to lie are
      turned upright.
    timeout_secs: How long a request may take from its last byte on.
  """

  max_batch_size: int = 32
  max_delay_secs: float = 0.01
  max_waiting: int = 256
  max_waiting_bytes: int = 256 * 2**20
  max_images: int = 32
  max_pixels: int = 40_000_000
  respect_exif_orientation: bool = False
  timeout_secs: float = 60.0

  def __post_init__(self):
    """Raises a ValueError if the limits contradict each other."""
    if not 1 <= self.max_images <= self.max_waiting:
      raise ValueError(
          "A request's images must fit among those that wait, so max_images"
          f" must be from 1 to max_waiting. Got: {self.max_images} and"
          f" {self.max_waiting}."
      )
    if self.max_pixels < 1 or self.timeout_secs <= 0:
      raise ValueError(
          "max_pixels and timeout_secs must be positive. Got:"
          f" {self.max_pixels} and {self.timeout_secs}."
      )

  @property
  def max_request_pixels(self) -> int:
    """The most pixels of a request's images together."""
    return _REQUEST_PIXELS_IN_IMAGES * self.max_pixels


class CaptionService:
  """Captions images, those of all callers in common batches.

  Attributes:
    limits: The `Limits`.
    vocab_size: How many words the model knows.
  """

  def __init__(
      self,
      captioner: captioning.Captioner,
      limits: Limits,
      *,
      on_batch: Callable[[int, float], None] = lambda size, secs: None,
  ):
    """Starts the thread that captions; `close` ends it.

    Args:
      captioner: What captions.
      limits: What to take on.
      on_batch: Called after each batch, in that thread, with the number of
        images and the seconds they took.
    """
    self.limits = limits
    self.vocab_size = captioner.model.vocab_size
    self._captioner = captioner
    self._on_batch = on_batch
    self._num_bytes = 0
    self._batcher = batcher.Batcher(
        self._caption_batch,
        weigh=lambda image: image.num_pixels,
        max_batch_size=limits.max_batch_size,
        max_batch_weight=_BATCH_PIXELS_IN_IMAGES * limits.max_pixels,
        max_delay_secs=limits.max_delay_secs,
        max_waiting=limits.max_waiting,
    )

  @property
  def num_waiting(self) -> int:
    """How many images wait."""
    return self._batcher.num_waiting

  @property
  def is_full(self) -> bool:
    """Whether any image would be refused."""
    has_room = self._num_bytes < self.limits.max_waiting_bytes
    return self._batcher.is_full or not has_room

  @property
  def is_working(self) -> bool:
    """Whether images are accepted and captioned."""
    return self._batcher.is_working

  def warm_up(self) -> None:
    """Captions something, which the first time takes seconds longer."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, format="jpeg")
    image = _Image(file.getvalue(), 8 * 8)
    (future,) = self._batcher.submit([image], Options())
    future.result()

  @contextlib.contextmanager
  def room(self, num_bytes: int) -> Iterator[None]:
    """Keeps room for the files of a request, from before they are read.

    Args:
      num_bytes: How large they are together.

    Raises:
      batcher.FullError: If there is too little.
    """
    total = self._num_bytes + num_bytes
    if self._num_bytes and total > self.limits.max_waiting_bytes:
      raise batcher.FullError(f"{self._num_bytes} bytes wait already.")
    self._num_bytes += num_bytes
    try:
      yield
    finally:
      self._num_bytes -= num_bytes

  async def caption(
      self, images: Sequence[bytes], options: Options
  ) -> list[Outcome]:
    """Captions the images of a request.

    If the caller is cancelled, so is what waits.

    Args:
      images: JPEG, PNG, WebP, GIF or BMP files.
      options: How to search.

    Returns:
      An outcome for each image.

    Raises:
      TooManyPixelsError: If they have too many pixels together.
      batcher.FullError: If too many images wait.
      batcher.ClosedError: After `close`.
      TimeoutError: If it takes longer than the limits say.
    """
    async with asyncio.timeout(self.limits.timeout_secs):
      measured = await asyncio.to_thread(self._measure, images)
      waiting = [
          asyncio.wrap_future(future)
          for future in self._batcher.submit(measured, options)
      ]
      return await asyncio.gather(*waiting)

  def close(self) -> None:
    """Accepts nothing more, and returns when all that waits is captioned."""
    self._batcher.close()

  def _measure(self, images: Sequence[bytes]) -> list[_Image]:
    measured = []
    for encoded in images:
      num_pixels = image_files.num_pixels(encoded)
      # One that is too large is not decoded.
      is_decoded = num_pixels <= self.limits.max_pixels
      measured.append(_Image(encoded, num_pixels if is_decoded else 0))
    total = sum(image.num_pixels for image in measured)
    if total > self.limits.max_request_pixels:
      raise TooManyPixelsError(
          f"The images have {total:,} pixels together, more than the"
          f" {self.limits.max_request_pixels:,} of a request. Send them in"
          " several."
      )
    return measured

  def _caption_batch(
      self, images: Sequence[_Image], options: Options
  ) -> Sequence[Outcome]:
    start = time.perf_counter()
    found = list(
        self._captioner.caption_each(
            [image.encoded for image in images],
            batch_size=len(images),
            max_pixels=self.limits.max_pixels,
            respect_exif_orientation=self.limits.respect_exif_orientation,
            **options._asdict(),
        )
    )
    self._on_batch(len(images), time.perf_counter() - start)
    return found
