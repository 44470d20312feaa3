"""Captions images: the library behind the programs, and for use in Python.

    from im2txt import captioning

    captioner = captioning.Captioner.load("model/train", "word_counts.txt")
    for caption in captioner.caption([jpeg_bytes])[0]:
      print(f"{caption.sentence} ({caption.probability:.4f})")

Threads decode the next batch of images while the model captions this one:

    images --threads--> batches of pixels --encoder--> states --search--> words

Pixels of a batch go to the device at once. On a GPU, XLA compiles the search,
whose many small operations take longer to start than to run; batches are padded
to a few sizes there, since it compiles each size separately.

`Captioner.load` also takes a frozen graph (`"model.pb"`), a SavedModel's folder
or, for an ensemble, a list of checkpoints. A frozen graph maps an encoded image
to its state, so there the threads run the encoder too.
"""

from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
import functools
import itertools
import os
from typing import Any
from typing import TypedDict
from typing import Unpack

from absl import logging
import numpy as np
import tensorflow as tf

from im2txt.data import image_files
from im2txt.inference import captions
from im2txt.inference import model_loader
from im2txt.inference_utils import vocabulary
from im2txt.ops import beam_search
from im2txt.runtime import home_folder

# Number of traced searches to keep, one for each set of search options.
_MAX_SEARCHES = 16


class ImageError(ValueError):
  """An image cannot be read or decoded; the message is a sentence."""


class SearchOptions(TypedDict, total=False):
  """Arguments of `ops.beam_search.beam_search`, with its defaults."""

  beam_size: int
  max_caption_length: int
  length_normalization_factor: float


class CaptionOptions(SearchOptions, total=False):
  """Options of `Captioner.caption_each`, with its defaults."""

  batch_size: int
  max_pixels: int | None
  respect_exif_orientation: bool


def _content(image_file: Any) -> bytes:
  """Returns a source of `Captioner.caption_each` if it is bytes."""
  if not isinstance(image_file, bytes | bytearray | memoryview):
    raise TypeError(
        "The images must be a list of bytes, the contents of image files, such"
        " as [open('dog.jpg', 'rb').read()]. Got an item of type"
        f" {type(image_file).__name__}."
    )
  return bytes(image_file)


class Captioner:
  """Captions images with one model.

  Attributes:
    model: The `model_loader.CaptionModel`, with its variables restored.
    vocab: The `Vocabulary`.
  """

  def __init__(
      self,
      model: model_loader.CaptionModel,
      vocab: vocabulary.Vocabulary,
      *,
      jit_compile: bool | None = None,
  ):
    """Creates a captioner from a loaded model; see also `load`.

    Args:
      model: A model in inference mode.
      vocab: The vocabulary that the model was trained with. If it has fewer
        words than the model, the others are shown as the unknown word.
      jit_compile: Whether XLA compiles the search. If None, it does on a GPU,
        unless it cannot compile this model's, which is logged.

    Raises:
      ValueError: If the vocabulary has more words than the model.
    """
    vocab.check_fits(model.vocab_size)
    self.model = model
    self.vocab = vocab
    # Kept, because memory would grow with every thread that is started.
    self._pool = futures.ThreadPoolExecutor()
    self._search = functools.lru_cache(_MAX_SEARCHES)(self._make_search)
    self._must_compile = jit_compile is True
    self._jit_compile = jit_compile
    if jit_compile is None:
      self._jit_compile = bool(tf.config.list_physical_devices("GPU"))
    self._prepare = tf.function(
        model.preprocess_image,
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )
    # Threads that wait for the first trace are warned of as many traces.
    self._prepare.get_concrete_function()

  @classmethod
  def load(
      cls,
      checkpoint: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
      vocab: str | os.PathLike[str] | vocabulary.Vocabulary = "",
      config_overrides: str = "",
      *,
      precision: str = "float32",
      jit_compile: bool | None = None,
  ) -> "Captioner":
    """Loads a model.

    Args:
      checkpoint: The path of a checkpoint, or of a folder for its newest one;
        the `config.json` beside it has the model's configuration. Or the path
        of a frozen graph, a file whose name ends in ".pb", or the folder of a
        SavedModel that `saved_model_export` wrote; neither needs a
        configuration. A list of checkpoints or their folders makes an
        `ensemble.Ensemble`. A `~` at the start of a path is the home folder.
      vocab: The vocabulary or the path of its file. Optional for a SavedModel,
        which contains it.
      config_overrides: Changes to the configuration, in the form
        "field=value,field=value".
      precision: Data type in which the encoder computes: "float32" or
        "bfloat16". The latter is 1.5 times as fast on processors that support
        it, and changes a few captions.
      jit_compile: See `__init__`.

    Returns:
      The captioner.

    Raises:
      FileNotFoundError: If a checkpoint or the vocabulary does not exist.
      ValueError: If the checkpoint, the vocabulary and the configuration do
        not match.
    """
    if isinstance(checkpoint, str | os.PathLike):
      checkpoint = [checkpoint]
    paths = [home_folder.expand(os.fspath(path)) for path in checkpoint]
    if isinstance(vocab, str | os.PathLike):
      file = os.fspath(vocab) or model_loader.vocab_file(paths)
      vocab = vocabulary.Vocabulary(file)
    model = model_loader.load(
        model_loader.resolve(paths),
        vocab,
        config_overrides,
        precision=precision,
    )
    return cls(model, vocab, jit_compile=jit_compile)

  def caption(
      self,
      encoded_images: Iterable[bytes],
      **options: Unpack[CaptionOptions],
  ) -> list[list[captions.Caption]]:
    """Captions images.

    Args:
      encoded_images: The contents of JPEG, PNG, WebP, GIF or BMP files.
      **options: See `caption_each`.

    Returns:
      The captions of each image, at most `beam_size`, the best first.

    Raises:
      ImageError: If an image can't be decoded; the message says which.
        `caption_each` continues with the others instead.
      TypeError: If an image is not bytes.
    """
    results: list[list[captions.Caption]] = []
    for result in self.caption_each(encoded_images, **options):
      if isinstance(result, ImageError):
        raise ImageError(f"Image {len(results)}, counted from 0: {result}")
      results.append(result)
    return results

  def caption_each(
      self,
      sources: Iterable[Any],
      *,
      read: Callable[[Any], bytes] = _content,
      batch_size: int = 32,
      max_pixels: int | None = None,
      respect_exif_orientation: bool = False,
      **search_options: Unpack[SearchOptions],
  ) -> Iterator[list[captions.Caption] | ImageError]:
    """Captions any number of images, yielding results batch by batch.

    Args:
      sources: The contents of JPEG, PNG, WebP, GIF or BMP files, or arguments
        for `read`.
      read: Function that returns the content of an image file, or raises an
        OSError or a TensorFlow error; called in threads.
      batch_size: Number of images per batch. Two batches are in memory, because
        the next one is decoded ahead.
      max_pixels: Maximum number of pixels per image; None for any number. A
        larger image gets an `ImageError` and is not decoded.
      respect_exif_orientation: Whether to apply the EXIF orientation of JPEGs
        first. Off by default, as in the original; see `image_files`.
      **search_options: See `SearchOptions`.

    Yields:
      For each image in turn, its captions, at most `beam_size`, the best first,
      or the reason why it has none.

    Raises:
      TypeError: If a source is not bytes and `read` is not given.
      ValueError: If `batch_size` or a search option is too small.
    """
    if batch_size < 1:
      raise ValueError(f"batch_size must be at least 1. Got: {batch_size}.")
    search = functools.partial(
        self._run_search, batch_size=batch_size, **search_options
    )
    to_jpeg = functools.partial(
        image_files.to_jpeg,
        max_pixels=max_pixels,
        respect_exif_orientation=respect_exif_orientation,
    )
    load = functools.partial(self._load, read=read, to_jpeg=to_jpeg)
    for batch in _map_ahead(self._pool, load, sources, batch_size):
      images = [i for i in batch if not isinstance(i, ImageError)]
      results: Iterator[list[captions.Caption]] = iter(())
      if images:
        results = captions.from_search(search(images), self.vocab)
      for image in batch:
        yield image if isinstance(image, ImageError) else next(results)

  def caption_files(
      self,
      files: Sequence[str],
      *,
      read: Callable[[str], bytes],
      num_captions: int | None = None,
      **options: Unpack[CaptionOptions],
  ) -> Iterator[captions.FileCaptions]:
    """Captions files, yielding results batch by batch.

    Args:
      files: The paths of image files.
      read: Function that returns the content of a file; see `caption_each`.
      num_captions: Number of captions to keep per file; None for all beam
        search results.
      **options: See `caption_each`.

    Yields:
      For each file in turn, its captions or the reason why it has none.
    """
    results = self.caption_each(files, read=read, **options)
    for file, result in zip(files, results, strict=True):
      if isinstance(result, ImageError):
        yield captions.FileCaptions(file, [], str(result))
      else:
        yield captions.FileCaptions(file, result[:num_captions])

  def _load(
      self,
      source: Any,
      *,
      read: Callable[[Any], bytes],
      to_jpeg: Callable[[bytes], bytes],
  ) -> np.ndarray | ImageError:
    try:
      encoded_image = read(source)
    except OSError as error:
      return ImageError(f"It can't be read: {error.strerror or error}.")
    except tf.errors.OpError as error:
      return ImageError(f"It can't be read: {error.message}.")
    try:
      return self._prepare(to_jpeg(encoded_image)).numpy()
    except ValueError as error:
      return ImageError(str(error))
    except tf.errors.OpError:
      return ImageError(image_files.PROBLEM)

  def _run_search(
      self,
      images: list[np.ndarray],
      *,
      batch_size: int,
      **search_options: Unpack[SearchOptions],
  ) -> beam_search.BeamSearchResult:
    """Returns the captions of images, and of repeated ones after them."""
    if not self._jit_compile:
      return self._search(False, **search_options)(np.stack(images))
    size = min(batch_size, 1 << (len(images) - 1).bit_length())
    padded = np.stack([*images, *images[-1:] * (size - len(images))])
    try:
      return self._search(True, **search_options)(padded)
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as e:
      if self._must_compile:
        raise
      logging.warning(
          "XLA is not used, since it can't compile the search here: %s",
          e.message.partition("\n")[0],
      )
      self._jit_compile = False
      return self._search(False, **search_options)(np.stack(images))

  def _make_search(
      self, jit_compile: bool, **search_options: Unpack[SearchOptions]
  ) -> Callable[[np.ndarray], beam_search.BeamSearchResult]:
    def search(states: tf.Tensor) -> beam_search.BeamSearchResult:
      return beam_search.beam_search(
          self.model.decode_step,
          states,
          start_id=self.vocab.start_id,
          end_id=self.vocab.end_id,
          static_shapes=jit_compile,
          **search_options,
      )

    if jit_compile:
      search = tf.function(search, autograph=False, jit_compile=True)
    image = self._prepare.get_concrete_function().structured_outputs
    # No batch size in the shape, so one trace serves all batches.
    images = tf.TensorSpec([None, *image.shape], image.dtype)
    return tf.function(
        lambda images: search(self.model.initial_states(images)),
        input_signature=[images],
        autograph=False,
    )


def _map_ahead(
    pool: futures.Executor,
    function: Callable[[Any], Any],
    items: Iterable[Any],
    batch_size: int,
) -> Iterator[list[Any]]:
  """Yields batches of a function's results, one batch computed ahead."""
  remaining = iter(items)
  pending: deque[list[futures.Future]] = deque()
  while True:
    batch = list(itertools.islice(remaining, batch_size))
    pending.append([pool.submit(function, item) for item in batch])
    if len(pending) > 1:
      yield [future.result() for future in pending.popleft()]
    if not batch:
      return
