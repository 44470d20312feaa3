r"""Writes a trained model in a form that runs without im2txt.

    bazel-bin/im2txt/export_model \
      --format=saved_model \
      --checkpoint_path="${MODEL_DIR}/train" \
      --vocab_file="${MSCOCO_DIR}/word_counts.txt" \
      --output_dir="${MODEL_DIR}/captioner/1"

A SavedModel is a folder for TensorFlow, TensorFlow Serving, or TensorFlow in
any other language. It takes a batch of image files (JPEG, PNG, GIF, BMP) and
gives their captions, with probabilities, in words. run_inference takes it too.

    bazel-bin/im2txt/export_model \
      --format=tflite --tflite_quantization=float16 \
      --checkpoint_path="${MODEL_DIR}/train" \
      --vocab_file="${MSCOCO_DIR}/word_counts.txt" \
      --output_file="${MODEL_DIR}/model.tflite"

A file for TensorFlow Lite, on phones and small computers. It takes the pixels
of an image and gives its captions as ids of words; the words are in the file,
which is a zip archive as well.

    bazel-bin/im2txt/export_model \
      --format=frozen_graph \
      --checkpoint_path="${MODEL_DIR}/train" \
      --output_file="${MODEL_DIR}/model.pb"

A frozen graph is one file for TensorFlow's sessions, in Python or in any other
language. It takes what clients of the original's graph feed, and gives what
they fetch, by the same names:

    image_feed:0 (an encoded image)        ->  lstm/initial_state:0
    input_feed:0 and lstm/state_feed:0     ->  softmax:0 and lstm/state:0

The search for captions is the client's. run_inference takes the file too.

How the search is done (--beam_size, --max_caption_length and
--length_normalization_factor) is fixed in a SavedModel or a TensorFlow Lite
file.

g3doc/exporting.md has clients for each.
"""

import os

from absl import app
from absl import flags
from absl import logging

from im2txt import search_flags
from im2txt.runtime import program

flags.adopt_module_key_flags(search_flags)

_CHECKPOINT_PATH = flags.DEFINE_string(
    "checkpoint_path",
    "",
    "A checkpoint (.../model.ckpt-2000000), or a folder, whose newest one is"
    " taken. A config.json beside it says how the model is made; without one it"
    " is the released model, with the sizes that the checkpoint has.",
)
_FORMAT = flags.DEFINE_enum(
    "format",
    "frozen_graph",
    ["frozen_graph", "saved_model", "tflite"],
    "What to write.",
)
_OUTPUT_FILE = flags.DEFINE_string(
    "output_file",
    "",
    "The frozen_graph or tflite file to make or to replace. run_inference knows"
    " a frozen graph by the name's end, .pb.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    "",
    "The folder of the saved_model to make, or to replace if it is one."
    " TensorFlow Serving wants it in NAME/VERSION, such as captioner/1.",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file",
    "",
    "The word_counts.txt that the model was trained with, for saved_model and"
    " tflite.",
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Changes to the model's configuration, such as"
    " vocab_size=9000,embedding_size=256.",
)
_PRECISION = flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "bfloat16"],
    "What the encoder of a saved_model computes in. bfloat16 is faster on"
    " processors with avx512_bf16 or AMX; captions differ now and then.",
)
_TFLITE_QUANTIZATION = flags.DEFINE_enum(
    "tflite_quantization",
    "none",
    ["none", "float16", "dynamic"],
    "How tflite stores weights: float16 halves the file and keeps the captions,"
    " but takes a quarter longer; dynamic (8 bits) quarters the file, is three"
    " times as fast, and says otherwise of one photograph in twenty.",
)

# What each format needs, and what may be given as well.
_REQUIRED = {
    "frozen_graph": (_OUTPUT_FILE,),
    "saved_model": (_VOCAB_FILE, _OUTPUT_DIR),
    "tflite": (_VOCAB_FILE, _OUTPUT_FILE),
}
_ALLOWED = {
    "frozen_graph": (),
    "saved_model": (*search_flags.HOLDERS, _PRECISION),
    "tflite": (*search_flags.HOLDERS, _TFLITE_QUANTIZATION),
}


def main(argv: list[str]) -> None:
  """Writes the model of the flags."""
  del argv
  program.require(_CHECKPOINT_PATH)
  _check_combination(_FORMAT.value)

  # Only now, as TensorFlow takes seconds to import.
  program.import_tensorflow()
  from im2txt.checkpointing import checkpoint_paths
  from im2txt.checkpointing import saved_config

  path = checkpoint_paths.find(_CHECKPOINT_PATH.value)
  config, _ = saved_config.load(path, _CONFIG_OVERRIDES.value)
  if _FORMAT.value == "frozen_graph":
    _write_frozen_graph(config, path)
  else:
    _write_captioner(config, path)
  written = _OUTPUT_DIR.value or _OUTPUT_FILE.value
  logging.info(
      "Wrote %s: %s (%.1f MB)", _FORMAT.value, written, _size(written) / 1e6
  )


def _check_combination(chosen: str) -> None:
  """Raises a UsageError if flags are missing or are another format's."""
  program.require(*_REQUIRED[chosen])
  fitting = {h.name for h in (*_REQUIRED[chosen], *_ALLOWED[chosen])}
  for holders in (*_REQUIRED.values(), *_ALLOWED.values()):
    for holder in holders:
      if holder.present and holder.name not in fitting:
        raise app.UsageError(f"--{holder.name} is not for --format={chosen}.")
  if _OUTPUT_DIR.value.endswith(".pb"):
    raise app.UsageError("--output_dir may not end in .pb, as a frozen graph.")


def _write_frozen_graph(config, path: str) -> None:
  from im2txt import show_and_tell_model
  from im2txt.export import frozen_graph_export
  from im2txt.inference_utils import inference_wrapper_base

  logging.info("Building model.")
  model = show_and_tell_model.ShowAndTellModel(config, "inference")
  inference_wrapper_base.restore(model, path, averaged=config.use_ema)
  frozen_graph_export.write(
      frozen_graph_export.build(model), _OUTPUT_FILE.value
  )


def _write_captioner(config, path: str) -> None:
  from im2txt.export import saved_model_export
  from im2txt.export import tflite_model
  from im2txt.inference import inference_model
  from im2txt.inference_utils import vocabulary

  # What is wrong is to be said before the model is built.
  vocab = vocabulary.Vocabulary(_VOCAB_FILE.value)
  vocab.check_fits(config.vocab_size)
  if _FORMAT.value == "saved_model":
    saved_model_export.check_replaceable(_OUTPUT_DIR.value)
  logging.info("Building model.")
  model = inference_model.InferenceModel(
      config, path, _PRECISION.value, as_variables=True
  )
  search_options = search_flags.options()
  if _FORMAT.value == "saved_model":
    saved_model_export.write(model, vocab, _OUTPUT_DIR.value, **search_options)
  else:
    tflite_model.write(
        model,
        vocab,
        _OUTPUT_FILE.value,
        quantization=_TFLITE_QUANTIZATION.value,
        **search_options,
    )


def _size(path: str) -> int:
  """Returns the bytes of a file, or of all files of a folder."""
  import tensorflow as tf

  if not tf.io.gfile.isdir(path):
    return tf.io.gfile.stat(path).length
  return sum(
      tf.io.gfile.stat(os.path.join(folder, name)).length
      for folder, _, names in tf.io.gfile.walk(path)
      for name in names
  )


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
