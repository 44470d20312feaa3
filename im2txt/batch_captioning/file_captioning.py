"""Captions image files, straight away or by way of a journal."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Unpack

from absl import logging

from im2txt import captioning
from im2txt.batch_captioning import caption_writer
from im2txt.batch_captioning import input_files
from im2txt.batch_captioning import resume_journal


def caption_files(
    files: Sequence[str],
    load: Callable[[], captioning.Captioner],
    *,
    on_error: Callable[[str, str], object],
    num_captions: int | None = None,
    **options: Unpack[captioning.CaptionOptions],
) -> Iterator[caption_writer.FileCaptions]:
  """Captions files as what is yielded is used.

  Args:
    files: The files.
    load: Gives the model; not called if there are no files.
    on_error: Called with a file that can't be captioned, and why.
    num_captions: How many captions of a file to keep; None for all found.
    **options: See `Captioner.caption_each`.

  Yields:
    For each file in turn, without those that failed, what is said of it.
  """
  if not files:
    return
  found = load().caption_each(files, read=input_files.read, **options)
  for file, said in zip(files, found, strict=True):
    if isinstance(said, captioning.ImageError):
      on_error(file, str(said))
    else:
      yield caption_writer.FileCaptions(file, said[:num_captions])


def caption_to_file(
    files: Sequence[str],
    caption: Callable[[list[str]], Iterable[caption_writer.FileCaptions]],
    save: Callable[[Iterable[caption_writer.FileCaptions]], object],
    *,
    output: str,
    settings: Mapping[str, Any],
    resume: bool,
) -> None:
  """Captions files and saves all captions at the end, whatever comes between.

  Args:
    files: The files.
    caption: Captions those files that it is given.
    save: Takes the captions of all files, in their order, without those that
      failed.
    output: The path that `save` writes. Beside it there is the journal.
    settings: All that the captions depend on, by name.
    resume: Whether to go on with the journal of an earlier run.

  Raises:
    ValueError: See `resume_journal.Journal`.
  """
  with resume_journal.Journal(output, settings, resume=resume) as journal:
    left = [file for file in files if file not in journal]
    if files and not left:
      logging.info("Nothing to do: all %d files were captioned.", len(files))
    elif len(left) < len(files):
      logging.info(
          "Resuming: %d of %d files were captioned before.",
          len(files) - len(left),
          len(files),
      )
    for found in caption(left):
      journal.add(found)
    save(journal.read(files))
    journal.finish()
