"""A page of pictures with their captions, to look at in a browser.

    html_report.check(report_dir)  # Before hours of work, not after them.
    ...
    with tqdm.tqdm(total=len(results)) as bar:
      path = html_report.write(
          pathlib.Path(report_dir),
          title="Captions of the validation split",
          summary="By model.ckpt-2000000, beam size 3.",
          figures={"CIDEr": "0.93", "perplexity": "11.20"},
          pictures=(picture_of(result) for result in results),
          progress=bar.update,
      )

The report is a folder that opens from disk and needs nothing from elsewhere:

    report_dir/index.html       all that is said of the pictures, and how to
                                sort it, search it and show it page by page
    report_dir/thumbnails/...   pictures as in the grid
    report_dir/images/...       pictures as seen from near

Some 10,000 pictures are well within reach: a few minutes, 1 GB of copies and 10
MB of text. `pictures` is read as it is needed and may be a generator.

Text of all kinds is escaped: to the page nothing is a tag or a program.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import itertools
import json
import math
import os
import pathlib
from typing import Any
from typing import NamedTuple

from im2txt.evaluation import report_folder
from im2txt.evaluation import report_images
from im2txt.evaluation import report_page

# Not there once the report is finished.
_ENTRIES = "entries.json"

# Beyond these, more threads find no more work.
_MAX_THREADS = 16
# Pictures that are being read, or whose entries wait for one being read.
_PICTURES_A_THREAD = 4


class Caption(NamedTuple):
  """A caption and the probability that the model gives it.

  Attributes:
    text: The caption as it is to be shown. May be empty.
    probability: In [0, 1], or NaN if the caption came without one.
  """

  text: str
  probability: float


class Picture(NamedTuple):
  """A picture in the report.

  Attributes:
    path: The image file, in any format that Pillow reads. A placeholder is
      shown of one that can't be read. Its name is shown, not its folder.
    captions: The model's captions, best first; as many as there are.
    references: What people, or the world itself, say of the picture.
    scores: Of the first caption, by the names of the metrics, in the order to
      show them in. Higher is better: what is better when it is lower, such as
      a perplexity, is given as its negative or not at all. NaN counts as none.
    is_right: Whether the first caption is right, if that can be said.
  """

  path: pathlib.Path
  captions: Sequence[Caption]
  references: Sequence[str]
  scores: Mapping[str, float] = {}
  is_right: bool | None = None


def check(report_dir: pathlib.Path) -> None:
  """Makes sure that `write` won't refuse a folder.

  Args:
    report_dir: The folder.

  Raises:
    ValueError: If it is a file, or holds other things than a report.
  """
  report_folder.check(report_dir)


def write(
    report_dir: pathlib.Path,
    *,
    title: str,
    summary: str,
    figures: Mapping[str, str],
    pictures: Iterable[Picture],
    progress: Callable[[int], object] = lambda count: None,
) -> pathlib.Path:
  """Writes the report, which appears whole or not at all.

  Args:
    report_dir: The folder of the report: missing, empty, or an earlier report,
      which is replaced.
    title: The page's heading.
    summary: A sentence or two below it.
    figures: Values to show on top, as text, by their names.
    pictures: In the order to show them in; each is read once.
    progress: Called with the number of pictures that were finished since it
      was last called, as tqdm's `update` is.

  Returns:
    The path of the page.

  Raises:
    OSError: If the report can't be written.
    ValueError: If `report_dir` is a file, or holds other things than a report.
  """
  with report_folder.create(report_dir) as folder:
    for name in (report_folder.THUMBNAILS, report_folder.IMAGES):
      (folder / name).mkdir()
    num_pictures = num_unreadable = 0
    entries = folder / _ENTRIES
    with entries.open("w", encoding="ascii") as lines:
      for entry in _in_order(_entry, pictures, folder):
        lines.write(("," if num_pictures else "") + _json(entry) + "\n")
        num_pictures += 1
        num_unreadable += entry["thumbnail"] is None
        progress(1)
    report_page.write(
        folder / report_folder.PAGE,
        title=title,
        summary=summary,
        figures=figures,
        entries=entries,
        num_pictures=num_pictures,
        num_unreadable=num_unreadable,
    )
    entries.unlink()
  return report_dir / report_folder.PAGE


def _in_order(
    function: Callable[..., dict[str, Any]],
    pictures: Iterable[Picture],
    folder: pathlib.Path,
) -> Iterator[dict[str, Any]]:
  """Calls a function of each picture in threads; Pillow frees the GIL.

  Args:
    function: Called with a picture, its number and the folder.
    pictures: The pictures, of which few are read ahead.
    folder: The report's folder.

  Yields:
    The results, in the order of the pictures.
  """
  num_threads = min(os.cpu_count() or 1, _MAX_THREADS)
  numbered = enumerate(pictures)
  with futures.ThreadPoolExecutor(num_threads) as pool:
    pending = [
        pool.submit(function, picture, number, folder)
        for number, picture in itertools.islice(
            numbered, num_threads * _PICTURES_A_THREAD
        )
    ]
    while pending:
      yield pending.pop(0).result()
      for number, picture in itertools.islice(numbered, 1):
        pending.append(pool.submit(function, picture, number, folder))


def _entry(
    picture: Picture, number: int, folder: pathlib.Path
) -> dict[str, Any]:
  """Copies a picture; returns what html_report_search.js reads of it."""
  name = f"{number:06d}.jpg"
  copies = [
      copy.relative_to(folder).as_posix()
      for copy in report_images.write(
          picture.path,
          thumbnail=folder / report_folder.THUMBNAILS / name,
          image=folder / report_folder.IMAGES / name,
      )
  ]
  return {
      "name": _text(picture.path.name),
      "thumbnail": copies[0] if copies else None,
      "image": copies[-1] if copies else None,
      "captions": [
          [_text(caption.text), _number(caption.probability)]
          for caption in picture.captions
      ],
      "references": [_text(reference) for reference in picture.references],
      "scores": [
          [_text(name), _number(score)]
          for name, score in picture.scores.items()
      ],
      "isRight": None if picture.is_right is None else bool(picture.is_right),
  }


def _text(text: str) -> str:
  """The text without the lone surrogates of undecodable file names."""
  return text.encode(errors="replace").decode()


def _number(value: float) -> float | None:
  return float(value) if math.isfinite(value) else None


def _json(entry: dict[str, Any]) -> str:
  """An entry as ASCII on one line, harmless within a script element."""
  return json.dumps(entry, separators=(",", ":")).replace("<", r"\u003c")
