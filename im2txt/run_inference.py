r"""Captions images with a trained model.

    run_inference \
        --checkpoint_path=model/train \
        --vocab_file=mscoco/word_counts.txt \
        --input_files='photos/*.jpg,more/dog.jpg'

prints, for each image, its most likely captions and their probabilities:

    Captions for image dog.jpg:
      0) a dog running on the beach . (p=0.001417)
      1) a dog that is running on the beach . (p=0.000309)

A file that is missing or is no image gets a line on stderr; the others are
captioned, and the exit status is 1.
"""

from collections.abc import Iterable
import os
import sys

from absl import flags
from absl import logging

from im2txt import program

_CHECKPOINT_PATH = flags.DEFINE_string(
    "checkpoint_path",
    "",
    "A checkpoint (.../model.ckpt-2000000), or a folder, whose newest one is"
    " taken. A config.json beside it says how the model is made; without one it"
    " is the released model, with the sizes that the checkpoint has. Or a"
    " frozen graph (.../model.pb).",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file", "", "The word_counts.txt that the model was trained with."
)
_INPUT_FILES = flags.DEFINE_string(
    "input_files",
    "",
    "JPEG or PNG files, or patterns of such, separated by commas. Captioned in"
    " the order given, a pattern's files by name, and each file once.",
)
_BEAM_SIZE = flags.DEFINE_integer(
    "beam_size", 3, "How many captions to search for.", lower_bound=1
)
_MAX_CAPTION_LENGTH = flags.DEFINE_integer(
    "max_caption_length",
    20,
    "The most words of a caption, with the start and the end word.",
    lower_bound=1,
)
_LENGTH_NORMALIZATION_FACTOR = flags.DEFINE_float(
    "length_normalization_factor",
    0.0,
    "If positive, captions are ranked by their log-probability over their"
    " length to this power: the greater, the longer the captions.",
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 32, "How many images to caption at once.", lower_bound=1
)
_NUM_CAPTIONS = flags.DEFINE_integer(
    "num_captions",
    None,
    "How many captions to print an image; by default all that were found.",
    lower_bound=1,
)
_PRECISION = flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "bfloat16"],
    "What the encoder computes in. bfloat16 captions half as many images"
    " again in the same time where the processor has it (avx512_bf16 or AMX);"
    " captions differ now and then.",
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Changes to the model's configuration, such as"
    " vocab_size=9000,embedding_size=256.",
)


def main(argv: list[str]) -> int:
  """Captions the files of the flags; returns the exit status."""
  del argv
  program.require(_CHECKPOINT_PATH, _VOCAB_FILE, _INPUT_FILES)

  # Only now, as TensorFlow takes seconds to import.
  program.leave_keras_out()
  from im2txt import captioning
  from im2txt import input_files
  from im2txt.inference_utils import vocabulary

  logging.info("Building model.")
  vocab = vocabulary.Vocabulary(_VOCAB_FILE.value)
  files, missing = input_files.find(_INPUT_FILES.value)
  if not files:
    raise FileNotFoundError(
        f"No file matches --input_files. Got: {_INPUT_FILES.value!r}."
    )
  for pattern in missing:
    _complain(pattern, "There is no such file.")
  logging.info(
      "Running caption generation on %d files matching %s",
      len(files),
      _INPUT_FILES.value,
  )
  captioner = captioning.Captioner.load(
      _CHECKPOINT_PATH.value,
      vocab,
      _CONFIG_OVERRIDES.value,
      precision=_PRECISION.value,
  )
  found = captioner.caption_each(
      files,
      read=input_files.read,
      batch_size=_BATCH_SIZE.value,
      beam_size=_BEAM_SIZE.value,
      max_caption_length=_MAX_CAPTION_LENGTH.value,
      length_normalization_factor=_LENGTH_NORMALIZATION_FACTOR.value,
  )
  num_failed = len(missing)
  for file, each in zip(files, found, strict=True):
    if isinstance(each, captioning.ImageError):
      _complain(file, str(each))
      num_failed += 1
    else:
      _print(file, each[: _NUM_CAPTIONS.value])
  return 1 if num_failed else 0


def _print(file: str, captions: Iterable) -> None:
  print(f"Captions for image {os.path.basename(file)}:")
  for i, caption in enumerate(captions):
    print(f"  {i}) {caption.sentence} (p={caption.probability:f})")
  sys.stdout.flush()


def _complain(file: str, reason: str) -> None:
  print(f"run_inference: {file}: {reason}", file=sys.stderr)


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
