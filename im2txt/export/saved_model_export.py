"""Exports a model as a SavedModel, from image files to captions.

    from im2txt.export import saved_model_export

    saved_model_export.write(model, vocab, "captioner/1", beam_size=3)

It runs wherever TensorFlow runs, including TensorFlow Serving. Its graph
includes decoding of images, beam search and the vocabulary; g3doc/exporting.md
describes the signatures.
"""

from collections.abc import Mapping
import os
import tempfile
from typing import Unpack

from absl import logging
import tensorflow as tf

from im2txt import captioning
from im2txt import networks
from im2txt.export import exported_captions
from im2txt.inference import inference_model
from im2txt.inference import saved_model
from im2txt.inference_utils import vocabulary
from im2txt.ops import beam_search
from im2txt.ops import image_processing
from im2txt.runtime import atomic_files


class CaptioningModule(tf.Module):
  """The functions and variables of the SavedModel.

  The names of the attributes are in the exported files and must not change.

  Attributes:
    weights: All variables.
    prepare_image: Function from an image file, a scalar string, to pixels.
    image_states: Function from float32 images of shape [batch_size, height,
      width, 3] to initial states.
    caption: Function of the signature "serving_default".
    encode: Function of the signature "encode".
    decode_step: Function of the signature "decode_step".
    search_options: Function of the signature "search_options".
  """

  def __init__(
      self,
      model: inference_model.InferenceModel,
      vocab: vocabulary.Vocabulary,
      vocab_file: str,
      *,
      beam_size: int = 3,
      max_caption_length: int = 20,
      length_normalization_factor: float = 0.0,
  ):
    """Creates the functions.

    Args:
      model: The model, created with `as_variables`.
      vocab: The model's vocabulary.
      vocab_file: Text file with the words of `vocab`, one per line.
      beam_size: See `ops.beam_search.beam_search`.
      max_caption_length: See `ops.beam_search.beam_search`.
      length_normalization_factor: See `ops.beam_search.beam_search`.
    """
    super().__init__(name="im2txt")
    self._model = model
    self._vocab = vocab
    self._search_options = captioning.SearchOptions(
        beam_size=beam_size,
        max_caption_length=max_caption_length,
        length_normalization_factor=length_normalization_factor,
    )
    self.weights = model.variables
    self._words = _table(vocab_file, vocab)
    config = model.config
    state = tf.TensorSpec([None, networks.state_size(config)], name="state")
    image = tf.TensorSpec([None, config.image_height, config.image_width, 3])
    files = tf.TensorSpec([None], tf.string, name="image_bytes")
    ids = tf.TensorSpec([None], tf.int64, name="input_ids")
    self.prepare_image = _function(
        self._prepare_image, tf.TensorSpec([], tf.string)
    )
    self.image_states = _function(self._image_states, image)
    self.caption = _function(self._caption, files)
    self.encode = _function(self._encode, files)
    self.decode_step = _function(self._decode_step, ids, state)
    self.search_options = _function(self._constants)

  def signatures(self) -> Mapping[str, tf.types.experimental.ConcreteFunction]:
    """Returns the signatures, for TensorFlow Serving, by name."""
    return {
        name: function.get_concrete_function()
        for name, function in (
            ("serving_default", self.caption),
            ("encode", self.encode),
            ("decode_step", self.decode_step),
            ("search_options", self.search_options),
        )
    }

  def _prepare_image(self, encoded_image: tf.Tensor) -> tf.Tensor:
    config = self._model.config
    return image_processing.central_view(
        image_processing.decode_any_image(encoded_image, config.image_format),
        **networks.image_sizes(config),
    )

  def _features(self, images: tf.Tensor) -> tf.Tensor:
    encoder = self._model.encoder
    # TensorFlow's convolutions fail for an empty batch.
    return tf.cond(
        tf.shape(images)[0] > 0,
        lambda: encoder(images),
        lambda: tf.zeros([0, encoder.feature_size]),
    )

  def _image_states(self, images: tf.Tensor) -> tf.Tensor:
    return self._model.decoder.initial_state(self._features(images))

  def _encode(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
    config = self._model.config
    images = tf.map_fn(
        self._prepare_image,
        image_bytes,
        fn_output_signature=tf.TensorSpec(
            [config.image_height, config.image_width, 3]
        ),
    )
    features = self._features(images)
    return {
        "features": features,
        "state": self._model.decoder.initial_state(features),
    }

  def _caption(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
    outputs = exported_captions.from_search(
        beam_search.beam_search(
            self._model.decode_step,
            self._encode(image_bytes)["state"],
            start_id=self._vocab.start_id,
            end_id=self._vocab.end_id,
            **self._search_options,
        ),
        self._vocab,
    )._asdict()
    word_ids = outputs.pop("word_ids")
    words = self._words.lookup(tf.cast(word_ids, tf.int64))
    words = tf.where(word_ids < 0, "", words)
    captions = exported_captions.join_words(words)
    return {"captions": captions, "words": words, **outputs}

  def _decode_step(
      self, input_ids: tf.Tensor, state: tf.Tensor
  ) -> dict[str, tf.Tensor]:
    probabilities, state = self._model.decode_step(input_ids, state)
    return {"probabilities": probabilities, "state": state}

  def _constants(self) -> dict[str, tf.Tensor]:
    ids = {"start_id": self._vocab.start_id, "end_id": self._vocab.end_id}
    return {
        name: tf.constant(value)
        for name, value in {**self._search_options, **ids}.items()
    }


def write(
    model: inference_model.InferenceModel,
    vocab: vocabulary.Vocabulary,
    folder: str,
    **search_options: Unpack[captioning.SearchOptions],
) -> None:
  """Writes a SavedModel, atomically.

  Args:
    model: The model, created with `as_variables`.
    vocab: The model's vocabulary.
    folder: The folder of the SavedModel; replaced if it is empty or has an
      earlier SavedModel.
    **search_options: See `captioning.SearchOptions`.

  Raises:
    FileExistsError: If `folder` exists with other content.
    ValueError: If the vocabulary doesn't fit the model, or a search option is
      too small.
  """
  folder = folder.rstrip("/")
  check_replaceable(folder)
  vocab.check_fits(model.vocab_size)
  temporary = folder + ".tmp"
  _remove(temporary)
  try:
    with (
        tempfile.TemporaryDirectory() as assets,
        atomic_files.errors_name(folder),
    ):
      vocab_file = os.path.join(assets, saved_model.VOCAB_FILE)
      with (
          atomic_files.errors_name(assets),
          open(vocab_file, "w", encoding="utf-8") as file,
      ):
        file.write(exported_captions.words_text(vocab))
      module = CaptioningModule(model, vocab, vocab_file, **search_options)
      save(module, temporary, module.signatures())
      _remove(folder)
      tf.io.gfile.rename(temporary, folder)
  finally:
    _remove(temporary)


def save(
    module: tf.Module,
    folder: str,
    signatures: Mapping[str, tf.types.experimental.ConcreteFunction],
) -> None:
  """Calls `tf.saved_model.save` without its long logs of tensor names."""
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.WARNING)
  try:
    tf.saved_model.save(module, folder, signatures)
  finally:
    logging.set_verbosity(verbosity)


def check_replaceable(folder: str) -> None:
  """Raises a FileExistsError if `folder` has content, but no SavedModel."""
  if not tf.io.gfile.exists(folder) or saved_model.is_saved_model(folder):
    return
  if not tf.io.gfile.isdir(folder) or tf.io.gfile.listdir(folder):
    raise FileExistsError(
        f"{folder} exists and is not a SavedModel. Choose another folder."
    )


def _function(
    function, *specs: tf.TensorSpec
) -> tf.types.experimental.Callable:
  return tf.function(function, input_signature=specs, autograph=False)


def _table(
    vocab_file: str, vocab: vocabulary.Vocabulary
) -> tf.lookup.StaticHashTable:
  """Returns a table from ids to words; the default is the unknown word."""
  return tf.lookup.StaticHashTable(
      tf.lookup.TextFileInitializer(
          vocab_file,
          key_dtype=tf.int64,
          key_index=tf.lookup.TextFileIndex.LINE_NUMBER,
          value_dtype=tf.string,
          value_index=tf.lookup.TextFileIndex.WHOLE_LINE,
      ),
      vocab.reverse_vocab[vocab.unk_id],
  )


def _remove(folder: str) -> None:
  if tf.io.gfile.exists(folder):
    tf.io.gfile.rmtree(folder)
