"""Captions each image of a split once, with a model whose weights change."""

from typing import Unpack

from absl import logging
import tensorflow as tf

from im2txt import captioning
from im2txt import show_and_tell_model
from im2txt.inference import captions
from im2txt.inference_utils import vocabulary
from im2txt.input_data import caption_data
from im2txt.input_data import distinct_images
from im2txt.ops import beam_search

_LOG_EVERY_N_IMAGES = 1000

# By image id, in the order of the split, the captions, the best first.
Found = dict[int, list[captions.Caption]]


class SplitCaptioner:
  """Captions each image of a split as the model's variables change.

  Attributes:
    data: The records.
    split: What is in them.
  """

  def __init__(
      self,
      model: show_and_tell_model.ShowAndTellModel,
      vocab: vocabulary.Vocabulary,
      data: caption_data.CaptionData,
      **search_options: Unpack[captioning.SearchOptions],
  ):
    """Reads the split's captions.

    Args:
      model: The model, in mode "eval".
      vocab: The vocabulary it is trained with.
      data: The records.
      **search_options: See `captioning.SearchOptions`.

    Raises:
      ValueError: If the vocabulary doesn't fit the model, or a record can't be
        used.
    """
    vocab.check_fits(model.vocab_size)
    self.data = data
    self.split = distinct_images.scan(data, vocab)
    self._model = model
    self._vocab = vocab

    def search(images: tf.Tensor) -> beam_search.BeamSearchResult:
      return beam_search.beam_search(
          model.decode_step,
          model.batch_states(images),
          start_id=vocab.start_id,
          end_id=vocab.end_id,
          **search_options,
      )

    self._search = tf.function(search, autograph=False)

  def caption(self) -> Found:
    """Captions all images.

    Returns:
      The captions.

    Raises:
      ValueError: If an image can't be decoded; the message says which.
    """
    batches = distinct_images.image_batches(
        self.data,
        self.split,
        feature_size=self._model.encoder.feature_size,
    )
    search = self._search.get_concrete_function(batches.element_spec)
    image_ids = self.split.image_ids
    found: Found = {}
    for batch in self.data.explained(batches):
      for said in captions.from_search(search(batch), self._vocab):
        found[image_ids[len(found)]] = said
        if len(found) % _LOG_EVERY_N_IMAGES == 0:
          logging.info("Captioned %d of %d images.", len(found), len(image_ids))
    return found
