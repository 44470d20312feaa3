"""Captions of images: a library for programs and for use in Python.

    from im2txt import captioning

    captioner = captioning.Captioner.load("model/train", "word_counts.txt")
    for caption in captioner.caption([jpeg_bytes])[0]:
      print(f"{caption.sentence} ({caption.probability:.4f})")

Images are decoded in threads while the model captions those before them:

    images --threads--> batches of pixels --encoder--> states --search--> words

The model may be a frozen graph, `Captioner.load("model.pb", ...)`, which takes
one image and gives its state: there the threads encode too.
"""

from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent import futures
import functools
import itertools
from typing import Any
from typing import Protocol
from typing import TypedDict
from typing import Unpack

import numpy as np
import tensorflow as tf

from im2txt import captions
from im2txt import checkpoints
from im2txt import configuration
from im2txt import frozen_graph
from im2txt import inference_model
from im2txt import saved_model
from im2txt.inference_utils import vocabulary
from im2txt.ops import beam_search

# How many kinds of search (beam size and so on) are kept traced.
_MAX_SEARCHES = 16


class ImageError(ValueError):
  """An image can't be read or decoded; says why."""


class Model(Protocol):
  """What captions images.

  An `InferenceModel`, a `ShowAndTellModel`, a `FrozenGraph` or a `SavedModel`.
  """

  @property
  def vocab_size(self) -> int:
    """The number of words that the model knows."""

  def prepare_image(self, encoded_image: tf.Tensor) -> tf.Tensor:
    """Does what is done with each image alone; called in threads.

    Args:
      encoded_image: A scalar string Tensor, a whole image file.

    Returns:
      What `image_states` takes of the image, of always the same shape.
    """

  def image_states(self, images: tf.Tensor) -> tf.Tensor:
    """The states of captions before the start word.

    Args:
      images: Prepared images, in a Tensor of shape [batch_size, ...].

    Returns:
      A float32 Tensor of shape [batch_size, state_size].
    """

  def decode_step(
      self, input_ids: tf.Tensor, state: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """See `CaptionDecoder.decode_step`."""


class SearchOptions(TypedDict, total=False):
  """Arguments of `ops.beam_search.beam_search`, with its defaults."""

  beam_size: int
  max_caption_length: int
  length_normalization_factor: float


class Captioner:
  """Captions images with one model.

  Attributes:
    model: The `Model`, with its variables restored.
    vocab: The `Vocabulary`.
  """

  def __init__(self, model: Model, vocab: vocabulary.Vocabulary):
    """Takes a model that is ready for use; `load` makes one.

    Args:
      model: The model; a `ShowAndTellModel` of the mode "inference".
      vocab: The vocabulary it was trained with. It may have fewer words than
        the model: the others are shown as the unknown word.

    Raises:
      ValueError: If the vocabulary has more words than the model.
    """
    check_vocabulary_size(vocab, model.vocab_size)
    self.model = model
    self.vocab = vocab
    self._search = functools.lru_cache(_MAX_SEARCHES)(self._make_search)
    self._prepare = tf.function(
        model.prepare_image,
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )

  @classmethod
  def load(
      cls,
      checkpoint: str,
      vocab: str | vocabulary.Vocabulary = "",
      config_overrides: str = "",
      *,
      precision: str = "float32",
  ) -> "Captioner":
    """Loads a model.

    Args:
      checkpoint: A checkpoint, or a folder, whose newest one is taken. The
        `config.json` beside it says how the model is made. Or a frozen graph,
        a file whose name ends in ".pb", which has all that in it. Or the folder
        of a SavedModel that `saved_model_export` wrote.
      vocab: The vocabulary, or the path of its file. A SavedModel has it too.
      config_overrides: "field=value,field=value", for what `config.json` lacks
        or has otherwise.
      precision: What the encoder computes in: "float32" or, on processors that
        have it half as fast again, "bfloat16". Captions then differ now and
        then.

    Returns:
      The captioner.

    Raises:
      FileNotFoundError: If there is no such checkpoint or vocabulary.
      ValueError: If these don't fit each other or the configuration.
    """
    exported: Callable[[str], Model] | None = None
    if saved_model.is_saved_model(checkpoint):
      exported = saved_model.SavedModel
      vocab = vocab or saved_model.words_file(checkpoint)
    elif checkpoint.endswith(frozen_graph.SUFFIX):
      exported = frozen_graph.FrozenGraph.load
    if isinstance(vocab, str):
      vocab = vocabulary.Vocabulary(vocab)
    if exported:
      if config_overrides or precision != "float32":
        raise ValueError(
            "An exported model can't be configured any more: leave"
            " --config_overrides and --precision out. Got:"
            f" {config_overrides!r} and {precision!r}."
        )
      return cls(exported(checkpoint), vocab)
    path = checkpoints.find(checkpoint)
    config, _ = configuration.apply_overrides(
        *checkpoints.load_config(path), config_overrides
    )
    # Before the model is made, which takes a while.
    check_vocabulary_size(vocab, config.vocab_size)
    return cls(inference_model.InferenceModel(config, path, precision), vocab)

  def caption(
      self,
      encoded_images: Iterable[bytes],
      *,
      batch_size: int = 32,
      **search_options: Unpack[SearchOptions],
  ) -> list[list[captions.Caption]]:
    """Captions images.

    Args:
      encoded_images: JPEG or PNG files.
      batch_size: How many images to caption at once.
      **search_options: See `SearchOptions`.

    Returns:
      Each image's captions, at most `beam_size`, the best first.

    Raises:
      ImageError: If an image can't be decoded; says which. `caption_each` goes
        on with the others.
    """
    found: list[list[captions.Caption]] = []
    for each in self.caption_each(
        encoded_images, batch_size=batch_size, **search_options
    ):
      if isinstance(each, ImageError):
        raise ImageError(f"Image {len(found)}, counted from 0: {each}")
      found.append(each)
    return found

  def caption_each(
      self,
      sources: Iterable[Any],
      *,
      read: Callable[[Any], bytes] = bytes,
      batch_size: int = 32,
      **search_options: Unpack[SearchOptions],
  ) -> Iterator[list[captions.Caption] | ImageError]:
    """Captions any number of images, yielding as batches are done.

    Args:
      sources: JPEG or PNG files, or what `read` takes.
      read: Gives an image file's content, or raises an OSError or an error of
        TensorFlow; it is called in threads.
      batch_size: How many images to caption at once. The next batch is decoded
        meanwhile, so two are in memory.
      **search_options: See `SearchOptions`.

    Yields:
      For each image in turn its captions, at most `beam_size`, the best first,
      or why there are none.

    Raises:
      ValueError: If `batch_size` or a search option is too small.
    """
    if batch_size < 1:
      raise ValueError(f"batch_size must be at least 1. Got: {batch_size}.")
    search = self._search(**search_options)
    load = functools.partial(self._load, read=read)
    for batch in _map_ahead(load, sources, batch_size):
      images = [i for i in batch if not isinstance(i, ImageError)]
      found: Iterator[list[captions.Caption]] = iter(())
      if images:
        found = captions.from_search(search(np.stack(images)), self.vocab)
      for image in batch:
        yield image if isinstance(image, ImageError) else next(found)

  def _load(
      self, source: Any, *, read: Callable[[Any], bytes]
  ) -> np.ndarray | ImageError:
    try:
      encoded_image = read(source)
    except OSError as error:
      return ImageError(f"It can't be read: {error.strerror or error}.")
    except tf.errors.OpError as error:
      return ImageError(f"It can't be read: {error.message}.")
    try:
      return self._prepare(encoded_image).numpy()
    except tf.errors.OpError:
      return ImageError("It is no JPEG or PNG image, or a damaged one.")

  def _make_search(self, **search_options: Unpack[SearchOptions]) -> Callable:
    def search(images: tf.Tensor) -> beam_search.BeamSearchResult:
      return beam_search.beam_search(
          self.model.decode_step,
          self.model.image_states(images),
          start_id=self.vocab.start_id,
          end_id=self.vocab.end_id,
          **search_options,
      )

    image = self._prepare.get_concrete_function().structured_outputs
    # Without a batch size, so that there is one trace for batches of any.
    images = tf.TensorSpec([None, *image.shape], image.dtype)
    return tf.function(search, input_signature=[images], autograph=False)


def check_vocabulary_size(
    vocab: vocabulary.Vocabulary, vocab_size: int
) -> None:
  """Raises a ValueError if the vocabulary has more words than the model."""
  num_words = len(vocab.reverse_vocab)
  if num_words > vocab_size:
    raise ValueError(
        f"The vocabulary has {num_words} words, the unknown word included, but"
        f" the model has vocab_size={vocab_size}. Use the vocabulary that the"
        " model was trained with."
    )


def _map_ahead(
    function: Callable[[Any], Any], items: Iterable[Any], batch_size: int
) -> Iterator[list[Any]]:
  """Batches of a function's values, computed in threads one batch ahead."""
  remaining = iter(items)
  pending: deque[list[futures.Future]] = deque()
  with futures.ThreadPoolExecutor() as pool:
    while True:
      batch = list(itertools.islice(remaining, batch_size))
      pending.append([pool.submit(function, item) for item in batch])
      if len(pending) > 1:
        yield [future.result() for future in pending.popleft()]
      if not batch:
        return
