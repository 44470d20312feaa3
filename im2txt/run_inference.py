r"""Captions images with a trained model.

    run_inference \
        --checkpoint_path=model/train \
        --vocab_file=mscoco/word_counts.txt \
        --input_files='photos/*.jpg,more/dog.jpg'

prints, for each image, its most likely captions and their probabilities:

    Captions for image dog.jpg:
      0) a dog running on the beach . (p=0.001417)
      1) a dog that is running on the beach . (p=0.000309)

What is missing, can't be read or is no image gets a line on stderr; the others
are captioned, and the exit status is 1.

--input_files=photos captions the images in a folder, --input_files=@list.txt
those that a file names. Several checkpoints separated by commas caption
together, as an ensemble, which averages their words' probabilities.

    run_inference ... --output_format=jsonl --output_file=captions.jsonl

writes a file instead, which appears when it is whole. Meanwhile the captions
are kept in captions.jsonl.partial: when the program was interrupted, or killed,
the same command with --resume goes on there. From then on they are kept in
captions.jsonl.journal: with --resume and more --input_files, only those are
captioned that were not before, by their names, in any format. The file then
has what --input_files names now, in that order. The formats are

    text          what is printed above
    jsonl         a line of JSON an image: captions, probabilities of all words
    csv           a row for each caption
    coco_results  for the COCO tools and server: image ids and best captions
    html          a folder with a page to open in a browser, index.html
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import functools
import os
import sys
from typing import Any

from absl import app
from absl import flags
from absl import logging

from im2txt import common_flags
from im2txt import search_flags
from im2txt.runtime import program
from im2txt.runtime import progress

flags.adopt_module_key_flags(search_flags)

_COCO = "coco_results"

_CHECKPOINT_PATH = flags.DEFINE_string(
    "checkpoint_path",
    "",
    "A checkpoint (.../model.ckpt-2000000), or a folder, whose newest one is"
    " taken; several, separated by commas, are an ensemble. A config.json"
    " beside it says how the model is made; without one it is the released"
    " model, with the checkpoint's sizes. Or a frozen graph (.../model.pb), or"
    " an exported SavedModel's folder.",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file",
    "",
    "The word_counts.txt that the model was trained with; a SavedModel has it.",
)
_INPUT_FILES = flags.DEFINE_string(
    "input_files",
    "",
    "JPEG, PNG, WebP, GIF or BMP files, or patterns of such, separated by"
    " commas. Or folders, for the images directly in them; or @list.txt, for"
    " the files named there, one a line, and @/dev/stdin for those of a pipe."
    " Captioned in the order given, a pattern's or folder's files by name, and"
    " each file once.",
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 32, "How many images to caption at once.", lower_bound=1
)
_NUM_CAPTIONS = flags.DEFINE_integer(
    "num_captions",
    None,
    "How many captions to write an image; by default all that were found.",
    lower_bound=1,
)
_RESPECT_EXIF_ORIENTATION = flags.DEFINE_flag(
    common_flags.respect_exif_orientation()
)
# How many files left out a message names.
_MAX_NAMED = 5

_OUTPUT_FORMAT = flags.DEFINE_enum(
    "output_format",
    "text",
    ["text", "jsonl", "csv", _COCO, "html"],
    "What to write; see above.",
)
_OUTPUT_FILE = flags.DEFINE_string(
    "output_file",
    "",
    "The file to make or to replace, or for html the folder; by default"
    " captions are printed.",
)
_RESUME = flags.DEFINE_boolean(
    "resume",
    False,
    "Whether to go on where an earlier run with this --output_file stopped or"
    " ended, instead of captioning all files anew. Those that could not be"
    " captioned are tried again. Needs the .partial or .journal beside it.",
)
_CAPTIONS_FILE = flags.DEFINE_string(
    "captions_file",
    "",
    "For coco_results, JSON of MSCOCO's form that lists image ids by file_name."
    " By default MSCOCO's names, such as 000000224477.jpg, give them.",
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

# What the captions depend on, besides the checkpoints and the files.
_SETTINGS = (
    _VOCAB_FILE,
    *search_flags.HOLDERS,
    _NUM_CAPTIONS,
    _RESPECT_EXIF_ORIENTATION,
    _PRECISION,
    _CONFIG_OVERRIDES,
)


def main(argv: list[str]) -> int:
  """Captions the files of the flags; returns the exit status."""
  del argv
  _check_flags()

  # Only now, as TensorFlow takes seconds to import.
  program.leave_keras_out()
  program.import_tensorflow()
  from im2txt.batch_captioning import caption_writer
  from im2txt.batch_captioning import input_files
  from im2txt.inference import model_loader
  from im2txt.inference_utils import vocabulary

  logging.info("Building model.")
  if not (words_file := model_loader.words_file([_CHECKPOINT_PATH.value])):
    program.require(_VOCAB_FILE)
  vocab = vocabulary.Vocabulary(_VOCAB_FILE.value or words_file)
  files, problems = input_files.find(_INPUT_FILES.value)
  for pattern, problem in problems.items():
    _complain(pattern, problem)
  _tell_left_out(input_files.left_out(_INPUT_FILES.value, files))
  form = _OUTPUT_FORMAT.value
  ids = (
      input_files.find_ids(files, _CAPTIONS_FILE.value) if form == _COCO else {}
  )
  logging.info(
      "Running caption generation on %d files matching %s",
      len(files),
      _INPUT_FILES.value,
  )
  paths = model_loader.resolve(_CHECKPOINT_PATH.value)
  failed = list(problems)
  caption = functools.partial(
      _caption, paths=paths, vocab=vocab, failed=failed, num_files=len(files)
  )
  if _OUTPUT_FILE.value:
    _write(files, caption, ids, paths)
  else:
    for piece in caption_writer.render(form, caption(files), ids):
      sys.stdout.write(piece)
      sys.stdout.flush()
  return 1 if failed else 0


def _check_flags() -> None:
  program.require(_CHECKPOINT_PATH, _INPUT_FILES)
  form = _OUTPUT_FORMAT.value
  if _CAPTIONS_FILE.value and form != _COCO:
    raise app.UsageError(f"--captions_file is for --output_format={_COCO}.")
  if form == "html" and not _OUTPUT_FILE.value:
    raise app.UsageError("--output_format=html needs --output_file, a folder.")
  if _RESUME.value and not _OUTPUT_FILE.value:
    raise app.UsageError("--resume needs the --output_file to go on with.")


def _caption(
    files: Sequence[str],
    *,
    paths: list[str],
    vocab: Any,
    failed: list[str],
    num_files: int,
) -> Iterator[Any]:
  """Captions files, showing that; adds to `failed` those that can't be."""
  from im2txt import captioning
  from im2txt.batch_captioning import file_captioning

  def on_error(file: str, reason: str) -> None:
    _complain(file, reason)
    failed.append(file)
    bar.update()

  with _progress_bar("Captioning", num_files) as bar:
    bar.update(num_files - len(files))
    for found in file_captioning.caption_files(
        files,
        functools.partial(
            captioning.Captioner.load,
            paths,
            vocab,
            _CONFIG_OVERRIDES.value,
            precision=_PRECISION.value,
        ),
        on_error=on_error,
        num_captions=_NUM_CAPTIONS.value,
        batch_size=_BATCH_SIZE.value,
        respect_exif_orientation=_RESPECT_EXIF_ORIENTATION.value,
        **search_flags.options(),
    ):
      bar.update()
      yield found


def _tell_left_out(paths: Sequence[str]) -> None:
  """Prints how many files of folders are not captioned, and which."""
  if not paths:
    return
  named = ", ".join(map(os.path.basename, paths[:_MAX_NAMED]))
  more = len(paths) - _MAX_NAMED
  print(
      f"run_inference: {len(paths)} files were left out, since their names do"
      f" not end as those of images that can be read: {named}"
      f"{f' and {more} more' if more > 0 else ''}.",
      file=sys.stderr,
  )


def _write(
    files: Sequence[str],
    caption: Callable[[Sequence[str]], Iterator[Any]],
    ids: dict[str, int],
    paths: list[str],
) -> None:
  """Captions files by way of a journal, and writes --output_file."""
  from im2txt.batch_captioning import caption_writer
  from im2txt.batch_captioning import file_captioning

  output = os.path.normpath(_OUTPUT_FILE.value)
  caption_writer.check(output, _OUTPUT_FORMAT.value)

  def save(found: Iterable[Any]) -> None:
    caption_writer.write(
        output,
        _OUTPUT_FORMAT.value,
        _progress_bar("Writing", len(files), found),
        image_ids=ids,
        summary=f"By {', '.join(map(os.path.basename, paths))}.",
    )

  file_captioning.caption_to_file(
      files,
      caption,
      save,
      output=output,
      settings={
          "checkpoint_path": paths,
          **{f.name: f.value for f in _SETTINGS},
      },
      resume=_RESUME.value,
  )
  logging.info("Wrote %s", output)


def _progress_bar(title: str, total: int, items: Any = ()) -> Any:
  """A bar on a terminal that doesn't get the captions themselves."""
  is_shown = bool(_OUTPUT_FILE.value) or not sys.stdout.isatty()
  return progress.bar(title, total, items=items, is_shown=is_shown)


def _complain(file: str, reason: str) -> None:
  # On one line: what clouds say has several.
  progress.write(f"run_inference: {file}: {' '.join(reason.split())}")


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
