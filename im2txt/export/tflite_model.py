"""Exports a model for TensorFlow Lite, from pixels to word ids.

    from im2txt.export import tflite_model

    tflite_model.write(model, vocab, "model.tflite", beam_size=3)

All operations, including beam search, are TensorFlow Lite's built-in ones, so
its runtime is all that the file needs. As is usual for TensorFlow Lite, the
file is also a zip archive, which contains the words.
"""

import io
import tempfile
from typing import Unpack
import zipfile

import tensorflow as tf

from im2txt import captioning
from im2txt import networks
from im2txt.export import exported_captions
from im2txt.export import saved_model_export
from im2txt.inference import inference_model
from im2txt.inference import saved_model
from im2txt.inference_utils import vocabulary
from im2txt.ops import beam_search
from im2txt.ops import image_processing
from im2txt.runtime import atomic_files
from im2txt.runtime import cloud_file

QUANTIZATIONS = ("none", "float16", "dynamic")

_SIGNATURE = "serving_default"


def write(
    model: inference_model.InferenceModel,
    vocab: vocabulary.Vocabulary,
    path: str,
    *,
    quantization: str = "none",
    **search_options: Unpack[captioning.SearchOptions],
) -> None:
  """Writes a model and its words to a file, atomically.

  Args:
    model: The model, with precision "float32".
    vocab: The model's vocabulary.
    path: The file, replaced if it exists.
    quantization: Type of the stored weights: "none" for float32; "float16"; or
      "dynamic" for 8 bits, which also computes products in 8 bits.
    **search_options: See `captioning.SearchOptions`.

  Raises:
    IsADirectoryError: If `path` is a folder.
    ValueError: If the vocabulary doesn't fit the model, or TensorFlow Lite does
      not support an option or the model's configuration.
  """
  if quantization not in QUANTIZATIONS:
    raise ValueError(
        f"quantization must be one of {QUANTIZATIONS}. Got: {quantization!r}."
    )
  if not model.config.resize_height:
    raise ValueError(
        "TensorFlow Lite needs images that are resized before the crop, but the"
        " model's configuration has resize_height=0."
    )
  vocab.check_fits(model.vocab_size)
  module = tf.Module()
  module.weights = model.variables
  module.caption = _caption_function(model, vocab, **search_options)
  content = io.BytesIO(_convert(module, quantization))
  with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr(
        saved_model.VOCAB_FILE, exported_captions.words_text(vocab)
    )
  cloud_file.write(content.getvalue(), path)


def _caption_function(
    model: inference_model.InferenceModel,
    vocab: vocabulary.Vocabulary,
    **search_options: Unpack[captioning.SearchOptions],
) -> tf.types.experimental.Callable:
  """Returns a function that captions one image.

  Args:
    model: The model.
    vocab: The model's vocabulary.
    **search_options: See `captioning.SearchOptions`.

  Returns:
    A function from a uint8 Tensor of shape [height, width, 3], of any size, to
    the fields of `ExportedCaptions` without the batch axis.
  """

  def caption(image: tf.Tensor) -> dict[str, tf.Tensor]:
    view = image_processing.central_view(
        tf.cast(image, tf.float32),  # The only type that TF Lite resizes.
        **networks.image_sizes(model.config),
    )
    result = beam_search.beam_search(
        model.decode_step,
        model.initial_states(view[tf.newaxis]),
        start_id=vocab.start_id,
        end_id=vocab.end_id,
        dtype=tf.float32,  # TensorFlow Lite has few float64 operations.
        **search_options,
    )
    outputs = exported_captions.from_search(result, vocab)
    return {name: value[0] for name, value in outputs._asdict().items()}

  image = tf.TensorSpec([None, None, 3], tf.uint8, name="image")
  return tf.function(caption, input_signature=[image], autograph=False)


def _convert(module: tf.Module, quantization: str) -> bytes:
  with (
      tempfile.TemporaryDirectory() as folder,
      atomic_files.errors_name(folder),
  ):
    signature = module.caption.get_concrete_function()
    saved_model_export.save(module, folder, {_SIGNATURE: signature})
    converter = tf.lite.TFLiteConverter.from_saved_model(
        folder, signature_keys=[_SIGNATURE]
    )
    if quantization != "none":
      converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
      converter.target_spec.supported_types = [tf.float16]
    return converter.convert()
