r"""Captions images with a trained model.

    run_inference \
        --checkpoint_path=model/train \
        --vocab_file=mscoco/word_counts.txt \
        --input_files='photos/*.jpg,more/dog.jpg'

prints, for each image, its most likely captions and their probabilities:

    Captions for image dog.jpg:
      0) a dog running on the beach . (p=0.001417)
      1) a dog that is running on the beach . (p=0.000309)

A file that is missing, cannot be read or is not an image is reported on stderr.
The others are captioned, and the exit status is 1.

--input_files=photos captions the images in a folder, --input_files=@list.txt
the images listed in a file. Several checkpoints, separated by commas, form an
ensemble, which averages the word probabilities of its members.

    run_inference ... --output_format=jsonl --output_file=captions.jsonl

writes a file instead, which appears only when it is complete. Until then the
captions are kept in captions.jsonl.partial. If the program was interrupted or
killed, the same command with --resume continues from there. Afterwards the
captions are kept in captions.jsonl.journal: with --resume and more
--input_files, only files that have no captions yet are captioned, whatever the
format. The output then has the files of the current --input_files, in that
order. The formats are

    text          the lines shown above
    jsonl         a line of JSON per image: captions and word probabilities
    csv           a row per caption
    coco_results  for the COCO tools and server: image ids and best captions
    html          a folder with a page to open in a browser, index.html
"""

from collections.abc import Generator
from collections.abc import Sequence
import contextlib
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
    "A checkpoint (.../model.ckpt-2000000), or a folder, for its newest"
    " checkpoint. Several, separated by commas, form an ensemble. The model is"
    " configured by the config.json in the same folder; without one it is the"
    " released model, with the checkpoint's sizes. Or a frozen graph"
    " (.../model.pb), or the folder of an exported SavedModel.",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file",
    "",
    "The word_counts.txt that the model was trained with. Not needed for a"
    " SavedModel, which contains it.",
)
_INPUT_FILES = flags.DEFINE_string(
    "input_files",
    "",
    "JPEG, PNG, WebP, GIF or BMP files, or patterns, separated by commas. A"
    " folder stands for the images directly in it, @list.txt for the files"
    " listed in that file, one per line, and @/dev/stdin for those listed on"
    " standard input. Files are captioned in the given order, those of a"
    " pattern or folder by name, and each file once.",
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 32, "Number of images per batch.", lower_bound=1
)
_NUM_CAPTIONS = flags.DEFINE_integer(
    "num_captions",
    None,
    "Number of captions per image. Defaults to all beam search results.",
    lower_bound=1,
)
_RESPECT_EXIF_ORIENTATION = flags.DEFINE_flag(
    common_flags.respect_exif_orientation()
)
# Number of skipped files that a message names.
_MAX_NAMED = 5

_OUTPUT_FORMAT = flags.DEFINE_enum(
    "output_format",
    "text",
    ["text", "jsonl", "csv", _COCO, "html"],
    "Output format; see above.",
)
_OUTPUT_FILE = flags.DEFINE_string(
    "output_file",
    "",
    "The file to create or replace, or the folder for html. By default captions"
    " are printed.",
)
_RESUME = flags.DEFINE_boolean(
    "resume",
    False,
    "Whether to continue an earlier run with this --output_file instead of"
    " captioning all files again. Files that failed are tried again. Needs the"
    " .partial or .journal file next to the output.",
)
_CAPTIONS_FILE = flags.DEFINE_string(
    "captions_file",
    "",
    "For coco_results, a JSON file in MSCOCO's format that lists image ids by"
    " file_name. By default the ids are taken from MSCOCO's file names, such as"
    " 000000224477.jpg.",
)
_PRECISION = flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "bfloat16"],
    "Data type in which the encoder computes. bfloat16 is about 1.5 times as"
    " fast on processors with AMX and on AMD's with avx512_bf16; a few captions"
    " differ.",
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Changes to the model's configuration, such as"
    " vocab_size=9000,embedding_size=256.",
)

# The flags that captions depend on, besides the checkpoints and the files.
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

  # Imported here, as TensorFlow takes seconds to import.
  program.import_tensorflow(with_keras=False)
  from im2txt.batch_captioning import caption_writer
  from im2txt.batch_captioning import input_files
  from im2txt.inference import model_loader
  from im2txt.inference_utils import vocabulary

  logging.info("Building model.")
  if not (vocab_file := model_loader.vocab_file([_CHECKPOINT_PATH.value])):
    program.require(_VOCAB_FILE)
  vocab = vocabulary.Vocabulary(_VOCAB_FILE.value or vocab_file)
  files, problems = input_files.find(_INPUT_FILES.value)
  for pattern, problem in problems.items():
    _report_error(pattern, problem)
  _report_skipped(input_files.left_out(_INPUT_FILES.value, files))
  form = _OUTPUT_FORMAT.value
  image_ids = (
      input_files.image_ids(files, _CAPTIONS_FILE.value)
      if form == _COCO
      else {}
  )
  logging.info(
      "Running caption generation on %d files matching %s",
      len(files),
      _INPUT_FILES.value,
  )
  paths = model_loader.resolve(_CHECKPOINT_PATH.value)
  failed = list(problems)
  if _OUTPUT_FILE.value:
    _write(files, paths, vocab, image_ids=image_ids, failed=failed)
  else:
    results = _caption(files, paths, vocab, num_done=0, failed=failed)
    # Closed, so that the progress ends before an error is reported.
    with contextlib.closing(results):
      for piece in caption_writer.render(form, results, image_ids):
        sys.stdout.write(piece)
        sys.stdout.flush()
  return 1 if failed else 0


def _check_flags() -> None:
  program.require(_CHECKPOINT_PATH, _INPUT_FILES)
  form = _OUTPUT_FORMAT.value
  if _CAPTIONS_FILE.value and form != _COCO:
    raise app.UsageError(f"--captions_file is for --output_format={_COCO}.")
  if form == "html" and not _OUTPUT_FILE.value:
    raise app.UsageError(
        "--output_format=html needs --output_file, the folder to write."
    )
  if _RESUME.value and not _OUTPUT_FILE.value:
    raise app.UsageError(
        "--resume needs --output_file, the output to continue."
    )


def _caption(
    files: Sequence[str],
    paths: Sequence[str],
    vocab: Any,
    *,
    num_done: int,
    failed: list[str],
) -> Generator[Any, None, None]:
  """Captions files, with a progress bar.

  Args:
    files: The paths of the files to caption. If there are none, the model is
      not loaded.
    paths: The paths of the checkpoints or of an exported model.
    vocab: The `Vocabulary`.
    num_done: Number of files that an earlier run captioned.
    failed: List to which the files are added that cannot be captioned.

  Yields:
    A `FileCaptions` for each file in turn, without those that failed.
  """
  from im2txt import captioning
  from im2txt.batch_captioning import input_files

  with _progress_bar("Captioning", num_done + len(files)) as bar:
    bar.update(num_done)
    if not files:
      return
    captioner = captioning.Captioner.load(
        paths, vocab, _CONFIG_OVERRIDES.value, precision=_PRECISION.value
    )
    for result in captioner.caption_files(
        files,
        read=input_files.read,
        num_captions=_NUM_CAPTIONS.value,
        batch_size=_BATCH_SIZE.value,
        respect_exif_orientation=_RESPECT_EXIF_ORIENTATION.value,
        **search_flags.options(),
    ):
      bar.update()
      if result.error:
        _report_error(result.file, result.error)
        failed.append(result.file)
      else:
        yield result


def _report_skipped(paths: Sequence[str]) -> None:
  """Reports how many files in folders are not captioned, and some names."""
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
    paths: list[str],
    vocab: Any,
    *,
    image_ids: dict[str, int],
    failed: list[str],
) -> None:
  """Captions the files missing in the journal, then writes --output_file.

  Args:
    files: The paths of all files.
    paths: The paths of the checkpoints or of an exported model.
    vocab: The `Vocabulary`.
    image_ids: The image id of each file, for the format coco_results.
    failed: List to which the files are added that cannot be captioned.
  """
  from im2txt.batch_captioning import caption_writer
  from im2txt.batch_captioning import resume_journal

  output = os.path.normpath(_OUTPUT_FILE.value)
  caption_writer.check(output, _OUTPUT_FORMAT.value)
  settings = {
      "checkpoint_path": paths,
      **{flag.name: flag.value for flag in _SETTINGS},
  }
  with resume_journal.Journal(
      output, settings, resume=_RESUME.value
  ) as journal:
    missing = journal.missing(files)
    num_done = len(files) - len(missing)
    if files and not missing:
      logging.info("Nothing to do: all %d files were captioned.", len(files))
    elif num_done:
      logging.info(
          "Resuming: %d of %d files were captioned before.",
          num_done,
          len(files),
      )
    for result in _caption(
        missing, paths, vocab, num_done=num_done, failed=failed
    ):
      journal.add(result)
    caption_writer.write(
        output,
        _OUTPUT_FORMAT.value,
        _progress_bar("Writing", len(files), journal.read(files)),
        image_ids=image_ids,
        summary=f"By {', '.join(map(os.path.basename, paths))}.",
    )
    journal.finish()
  logging.info("Wrote %s", output)


def _progress_bar(title: str, total: int, items: Any = ()) -> Any:
  """Returns a progress bar, hidden if captions are printed on a terminal."""
  is_shown = bool(_OUTPUT_FILE.value) or not sys.stdout.isatty()
  return progress.bar(title, total, items=items, is_shown=is_shown)


def _report_error(file: str, reason: str) -> None:
  # On one line: errors of cloud file systems have several.
  progress.write(f"run_inference: {file}: {' '.join(reason.split())}")


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
