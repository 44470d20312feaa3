"""What `run_inference` writes: a file of captions, or a folder with a page."""

from collections.abc import Iterable
from collections.abc import Mapping
import glob
import os
import pathlib

from im2txt.batch_captioning import caption_formats
from im2txt.report import html_report
from im2txt.runtime import whole_file

# The form that is a folder: a page and copies of the pictures.
HTML = "html"


def check(path: str, form: str) -> None:
  """Finds what `write` would find wrong after hours of captioning.

  Args:
    path: As of `write`.
    form: As of `write`.

  Raises:
    FileNotFoundError: If there is no folder to write in.
    ValueError: If `path` is something that can't be replaced.
  """
  if form == HTML:
    html_report.check(pathlib.Path(path))
  else:
    whole_file.check(path)
  if not pathlib.Path(path).parent.is_dir():
    raise FileNotFoundError(f"There is no folder for the file {path!r}.")


def write(
    path: str,
    form: str,
    found: Iterable[caption_formats.FileCaptions],
    *,
    image_ids: Mapping[str, int],
    summary: str,
) -> None:
  """Writes captions, whole or not at all.

  Args:
    path: The file to make or to replace; or the folder of a page: missing,
      empty, or an earlier page's, which is replaced.
    form: "html" for a page, or what `caption_formats.render` takes.
    found: The captions. Few are in memory at once.
    image_ids: As of `caption_formats.render`.
    summary: A sentence or two below the page's heading.
  """
  if form == HTML:
    html_report.write(
        pathlib.Path(path),
        title="Captions",
        summary=summary,
        figures={},
        pictures=map(_picture, found),
    )
    return
  folder, name = os.path.split(path)
  with (
      whole_file.temporaries_removed(folder or ".", glob.escape(name)),
      whole_file.create(path) as file,
  ):
    for piece in caption_formats.render(form, found, image_ids):
      # A file's name that is no UTF-8 stays as it is.
      file.write(piece.encode(errors="surrogateescape"))


def _picture(found: caption_formats.FileCaptions) -> html_report.Picture:
  captions = [
      html_report.Caption(caption.sentence, caption.probability)
      for caption in found.captions
  ]
  return html_report.Picture(pathlib.Path(found.file), captions, [])
