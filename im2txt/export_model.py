r"""Exports a trained model to a format that runs without im2txt.

    bazel-bin/im2txt/export_model \
      --format=saved_model \
      --checkpoint_path="${MODEL_DIR}/train" \
      --vocab_file="${MSCOCO_DIR}/word_counts.txt" \
      --output_dir="${MODEL_DIR}/captioner/1"

A SavedModel is a folder for TensorFlow in any language and for TensorFlow
Serving. From a batch of image files (JPEG, PNG, GIF, BMP), it returns their
captions with probabilities. run_inference accepts it too.

    bazel-bin/im2txt/export_model \
      --format=tflite --tflite_quantization=float16 \
      --checkpoint_path="${MODEL_DIR}/train" \
      --vocab_file="${MSCOCO_DIR}/word_counts.txt" \
      --output_file="${MODEL_DIR}/model.tflite"

A file for TensorFlow Lite, on phones and small computers. From the pixels of an
image, it returns the captions as word ids. The file is also a zip archive,
which contains the words.

    bazel-bin/im2txt/export_model \
      --format=frozen_graph \
      --checkpoint_path="${MODEL_DIR}/train" \
      --output_file="${MODEL_DIR}/model.pb"

A frozen graph is a single file for TensorFlow sessions, in Python or in any
other language. Its inputs and outputs are those of the original's graph, with
the same names:

    image_feed:0 (an encoded image)        ->  lstm/initial_state:0
    input_feed:0 and lstm/state_feed:0     ->  softmax:0 and lstm/state:0

The client does the beam search. run_inference accepts the file too.

The search options (--beam_size, --max_caption_length and
--length_normalization_factor) are fixed in a SavedModel or a TensorFlow Lite
file.

g3doc/exporting.md has an example client for each format.
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
    "A checkpoint (.../model.ckpt-2000000), or a folder, of which the newest"
    " checkpoint is used. The configuration is read from the config.json beside"
    " it; without one, it is the released configuration with the sizes of the"
    " checkpoint.",
)
_FORMAT = flags.DEFINE_enum(
    "format",
    "frozen_graph",
    ["frozen_graph", "saved_model", "tflite"],
    "The format to write.",
)
_OUTPUT_FILE = flags.DEFINE_string(
    "output_file",
    "",
    "The frozen_graph or tflite file, replaced if it exists. run_inference"
    " recognizes a frozen graph by the extension .pb.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    "",
    "The folder of the saved_model; an earlier SavedModel there is replaced."
    " TensorFlow Serving needs the form NAME/VERSION, such as captioner/1.",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file",
    "",
    "The word_counts.txt that the model was trained with; for saved_model and"
    " tflite.",
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Overrides of the model's configuration, such as"
    " vocab_size=9000,embedding_size=256.",
)
_PRECISION = flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "bfloat16"],
    "The numeric type of the encoder in a saved_model. bfloat16 is faster on"
    " processors with AMX and on AMD's with avx512_bf16, and changes a few"
    " captions.",
)
_TFLITE_QUANTIZATION = flags.DEFINE_enum(
    "tflite_quantization",
    "none",
    ["none", "float16", "dynamic"],
    "Type of the stored weights in tflite. float16 halves the file size and"
    " does not change captions, but takes 1.25 times as long. dynamic (8 bits)"
    " divides the file size by four, is three times as fast, and changes the"
    " captions of one photograph in twenty.",
)

# The flags that each format requires, and further flags that it allows.
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
  """Exports the model as configured by the flags."""
  del argv
  program.require(_CHECKPOINT_PATH)
  _check_combination(_FORMAT.value)

  # Imported here, as TensorFlow takes seconds to import.
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
  """Raises a UsageError if flags are missing or don't apply to the format."""
  program.require(*_REQUIRED[chosen])
  fitting = {h.name for h in (*_REQUIRED[chosen], *_ALLOWED[chosen])}
  for holders in (*_REQUIRED.values(), *_ALLOWED.values()):
    for holder in holders:
      if holder.present and holder.name not in fitting:
        raise app.UsageError(f"--{holder.name} is not for --format={chosen}.")
  if _OUTPUT_DIR.value.endswith(".pb"):
    raise app.UsageError(
        "--output_dir must not end in .pb, the extension of frozen graphs."
    )


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

  # Checked first, as building the model takes a while.
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
  """Returns the size of a file, or of all files in a folder, in bytes."""
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
