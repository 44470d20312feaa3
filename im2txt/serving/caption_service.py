"""Captions images of concurrent callers in common batches, within limits.

    images --batcher--> batches --caption_each--> captions

Images wait as encoded files. The number of pixels is read from their headers.
The pixels of a batch are limited, which bounds memory and the time that others
wait; a request whose images have too many pixels is refused. HTTP is handled in
`application`.
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

# The captions of an image, the best first, or why it can't be captioned.
Outcome = list[captions.Caption] | captioning.ImageError


# Pixel limits, in images of the maximum size. For a request: 32 photographs of
# a phone have 384 million pixels. For a batch: all its images may be decoded at
# the same time, which takes about 20 bytes per pixel.
_REQUEST_PIXELS_IN_IMAGES = 10
_BATCH_PIXELS_IN_IMAGES = 2


class TooManyPixelsError(ValueError):
  """The images of a request have too many pixels in total."""


class _Image(NamedTuple):
  encoded: bytes
  num_pixels: int  # Pixels to decode: 0 for an image that is too large.


class RequestOptions(NamedTuple):
  """Search options; only images with the same options share a batch."""

  beam_size: int = 3
  max_caption_length: int = 20
  length_normalization_factor: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
  """Limits of images and batches.

  Attributes:
    max_batch_size: Maximum number of images per batch.
    max_delay_secs: How long an image waits for others while the model is idle,
      in seconds.
    max_waiting: Maximum number of waiting images; requests beyond it are
      refused.
    max_waiting_bytes: Maximum number of bytes of all images that wait or are
      being captioned. A larger request is accepted only while there is no
      other.
    max_images: Maximum number of images per request.
    max_pixels: Maximum number of pixels per image; a larger image is refused
      without decoding it.
    respect_exif_orientation: Whether to apply the EXIF orientation of JPEGs.
    timeout_secs: How long a request may wait for its captions after its last
      byte has arrived, in seconds.
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
    """Raises a ValueError if a limit is invalid."""
    if not 1 <= self.max_images <= self.max_waiting:
      raise ValueError(
          "The images of a request must fit into the queue, so max_images must"
          f" be from 1 to max_waiting. Got: {self.max_images} and"
          f" {self.max_waiting}."
      )
    if self.max_pixels < 1 or self.timeout_secs <= 0:
      raise ValueError(
          "max_pixels and timeout_secs must be positive. Got:"
          f" {self.max_pixels} and {self.timeout_secs}."
      )

  @property
  def max_request_pixels(self) -> int:
    """Maximum total number of pixels of a request's images."""
    return _REQUEST_PIXELS_IN_IMAGES * self.max_pixels


class CaptionService:
  """A captioner for concurrent callers, who share batches.

  Attributes:
    limits: The limits.
    vocab_size: The model's vocabulary size.
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
      captioner: The captioner.
      limits: The limits.
      on_batch: Function (number of images, seconds), called in the thread after
        each batch.
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
    """The number of images in the queue."""
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
    """Captions one image, as the first one takes seconds longer."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, format="jpeg")
    image = _Image(file.getvalue(), 8 * 8)
    (future,) = self._batcher.submit([image], RequestOptions())
    future.result()

  @contextlib.contextmanager
  def room(self, num_bytes: int) -> Iterator[None]:
    """Reserves room for the files of a request; to be called before reading.

    Args:
      num_bytes: The total size of the files.

    Raises:
      batcher.FullError: If the files exceed the limit of waiting bytes.
    """
    total = self._num_bytes + num_bytes
    if self._num_bytes and total > self.limits.max_waiting_bytes:
      raise batcher.FullError(
          f"{self._num_bytes} bytes are already waiting, of at most"
          f" {self.limits.max_waiting_bytes}."
      )
    self._num_bytes += num_bytes
    try:
      yield
    finally:
      self._num_bytes -= num_bytes

  async def caption(
      self, images: Sequence[bytes], options: RequestOptions
  ) -> list[Outcome]:
    """Captions the images of a request.

    If this coroutine is cancelled, its waiting images leave the queue.

    Args:
      images: The contents of image files.
      options: The search options.

    Returns:
      An outcome for each image.

    Raises:
      TooManyPixelsError: If the images have too many pixels in total.
      batcher.FullError: If the queue has no room for the images.
      batcher.ClosedError: If the service is closed.
      TimeoutError: If the captions take longer than `timeout_secs`.
    """
    async with asyncio.timeout(self.limits.timeout_secs):
      measured = await asyncio.to_thread(self._measure, images)
      waiting = [
          asyncio.wrap_future(future)
          for future in self._batcher.submit(measured, options)
      ]
      return await asyncio.gather(*waiting)

  def close(self) -> None:
    """Stops accepting images, and returns when the queue is captioned."""
    self._batcher.close()

  def _measure(self, images: Sequence[bytes]) -> list[_Image]:
    measured = []
    for encoded in images:
      num_pixels = image_files.num_pixels(encoded)
      # An image that is too large is refused without decoding it.
      is_decoded = num_pixels <= self.limits.max_pixels
      measured.append(_Image(encoded, num_pixels if is_decoded else 0))
    total = sum(image.num_pixels for image in measured)
    if total > self.limits.max_request_pixels:
      raise TooManyPixelsError(
          f"The images have {total:,} pixels in total, but a request can have"
          f" at most {self.limits.max_request_pixels:,}. Send them in several"
          " requests."
      )
    return measured

  def _caption_batch(
      self, images: Sequence[_Image], options: RequestOptions
  ) -> Sequence[Outcome]:
    start = time.perf_counter()
    outcomes = list(
        self._captioner.caption_each(
            [image.encoded for image in images],
            batch_size=len(images),
            max_pixels=self.limits.max_pixels,
            respect_exif_orientation=self.limits.respect_exif_orientation,
            **options._asdict(),
        )
    )
    self._on_batch(len(images), time.perf_counter() - start)
    return outcomes
