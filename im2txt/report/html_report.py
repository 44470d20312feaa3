"""An HTML report: images with their captions, to open in a browser.

    html_report.check(report_dir)  # Before hours of work, not after them.
    ...
    with tqdm.tqdm(total=len(results)) as bar:
      path = html_report.write(
          pathlib.Path(report_dir),
          title="Captions of the validation split",
          summary="By model.ckpt-2000000, beam size 3.",
          figures={"CIDEr": "0.93", "perplexity": "11.20"},
          pictures=(make_picture(result) for result in results),
          progress=bar.update,
      )

The report is a folder that opens from disk and needs no other files:

    report_dir/index.html       the text, with scripts to sort, search and page
    report_dir/thumbnails/...   images for the grid
    report_dir/images/...       larger images for the detail view

10,000 images take a few minutes, 1 GB of copies and 10 MB of text. `pictures`
is consumed step by step and may be a generator.

The page is a single file, because browsers differ in what other files a page
from disk may load. All text is escaped, and the Content-Security-Policy allows
only the scripts of the template, by their hashes.
"""

import base64
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import hashlib
import itertools
import json
import math
import os
import pathlib
from typing import Any
from typing import NamedTuple

import jinja2

from im2txt.report import report_files

_SOURCES = pathlib.Path(__file__).parent
_TEMPLATE = "html_report_template.html"
_STYLE = "html_report.css"
_SCRIPTS = (
    "html_report_search.js",
    "html_report_cards.js",
    "html_report_detail.js",
    "html_report.js",
)

# A temporary file, deleted when the report is finished.
_ENTRIES = "entries.json"

# More threads do not make it faster.
_MAX_THREADS = 16
# Images being read, or finished and waiting for an earlier one.
_PENDING_PER_THREAD = 4


class ReportCaption(NamedTuple):
  """A caption and its probability.

  Attributes:
    text: The caption as it is to be shown. May be empty.
    probability: The model's probability, in [0, 1]; NaN if unknown.
  """

  text: str
  probability: float


class Picture(NamedTuple):
  """An image in the report, with its captions and scores.

  Attributes:
    path: The image file, in any format that Pillow reads. Its name is shown
      without its folder. A placeholder is shown if it can't be read.
    captions: The model's captions, best first; any number.
    references: The reference captions.
    scores: The scores of the first caption by metric, in the order in which to
      show them. Higher must be better, so give a metric such as perplexity as
      its negative. NaN is treated as missing.
    is_right: Whether the first caption is right; None if unknown.
  """

  path: pathlib.Path
  captions: Sequence[ReportCaption]
  references: Sequence[str]
  scores: Mapping[str, float] = {}
  is_right: bool | None = None


def check(report_dir: pathlib.Path) -> None:
  """Checks that `write` will accept a folder.

  Args:
    report_dir: The folder of the report.

  Raises:
    ValueError: If `report_dir` is a file, or contains anything but a report.
  """
  report_files.check_folder(report_dir)


def write(
    report_dir: pathlib.Path,
    *,
    title: str,
    summary: str,
    figures: Mapping[str, str],
    pictures: Iterable[Picture],
    progress: Callable[[int], object] = lambda count: None,
) -> pathlib.Path:
  """Writes a report, atomically.

  Args:
    report_dir: The folder of the report: missing, empty, or an earlier report,
      which is replaced.
    title: The heading of the page.
    summary: One or two sentences to show below the heading.
    figures: Formatted values to show at the top, by name.
    pictures: The images, in the order in which to show them; iterated once.
    progress: Function called with the number of images finished since its last
      call, such as the `update` method of a tqdm bar.

  Returns:
    The path of the page.

  Raises:
    OSError: If the report can't be written.
    ValueError: If `report_dir` is a file, or contains anything but a report.
  """
  with report_files.create_folder(report_dir) as folder:
    for name in (report_files.THUMBNAILS, report_files.IMAGES):
      (folder / name).mkdir()
    num_pictures = num_unreadable = 0
    entries = folder / _ENTRIES
    with entries.open("w", encoding="ascii") as lines:
      for entry in _make_entries(pictures, folder):
        lines.write(("," if num_pictures else "") + _to_json(entry) + "\n")
        num_pictures += 1
        num_unreadable += entry["thumbnail"] is None
        progress(1)
    _write_page(
        folder / report_files.PAGE,
        title=title,
        summary=summary,
        figures=figures,
        entries=entries,
        num_pictures=num_pictures,
        num_unreadable=num_unreadable,
    )
    entries.unlink()
  return report_dir / report_files.PAGE


def _make_entries(
    pictures: Iterable[Picture], folder: pathlib.Path
) -> Iterator[dict[str, Any]]:
  """Copies images in threads, since Pillow releases the GIL.

  Args:
    pictures: The images; only a few are read ahead.
    folder: The folder of the report.

  Yields:
    The entry of each image, in the order of `pictures`.
  """
  num_threads = min(os.cpu_count() or 1, _MAX_THREADS)
  numbered = enumerate(pictures)
  with futures.ThreadPoolExecutor(num_threads) as pool:
    pending = [
        pool.submit(_make_entry, picture, number, folder)
        for number, picture in itertools.islice(
            numbered, num_threads * _PENDING_PER_THREAD
        )
    ]
    while pending:
      yield pending.pop(0).result()
      for number, picture in itertools.islice(numbered, 1):
        pending.append(pool.submit(_make_entry, picture, number, folder))


def _make_entry(
    picture: Picture, number: int, folder: pathlib.Path
) -> dict[str, Any]:
  """Copies an image and returns the entry that html_report_search.js reads."""
  name = f"{number:06d}.jpg"
  copies = [
      copy.relative_to(folder).as_posix()
      for copy in report_files.copy_image(
          picture.path,
          thumbnail=folder / report_files.THUMBNAILS / name,
          image=folder / report_files.IMAGES / name,
      )
  ]
  return {
      "name": _valid_text(picture.path.name),
      "thumbnail": copies[0] if copies else None,
      "image": copies[-1] if copies else None,
      "captions": [
          [_valid_text(caption.text), _finite(caption.probability)]
          for caption in picture.captions
      ],
      "references": [
          _valid_text(reference) for reference in picture.references
      ],
      "scores": [
          [_valid_text(name), _finite(score)]
          for name, score in picture.scores.items()
      ],
      "isRight": None if picture.is_right is None else bool(picture.is_right),
  }


def _valid_text(text: str) -> str:
  """Replaces the lone surrogates of file names that can't be decoded."""
  return text.encode(errors="replace").decode()


def _finite(value: float) -> float | None:
  return float(value) if math.isfinite(value) else None


def _to_json(entry: dict[str, Any]) -> str:
  """Returns an entry as one line of ASCII that is safe in a script element."""
  return json.dumps(entry, separators=(",", ":")).replace("<", r"\u003c")


def _write_page(
    path: pathlib.Path,
    *,
    title: str,
    summary: str,
    figures: Mapping[str, str],
    entries: pathlib.Path,
    num_pictures: int,
    num_unreadable: int,
) -> None:
  """Writes the page, streaming the entries.

  Args:
    path: The file to write.
    title: The heading.
    summary: One or two sentences to show below the heading.
    figures: Formatted values to show at the top, by name.
    entries: A file with one JSON object per line, separated by commas, without
      the character "<".
    num_pictures: The number of entries.
    num_unreadable: The number of images that can't be read.
  """
  style, *scripts = (
      (_SOURCES / name).read_text(encoding="utf-8")
      for name in (_STYLE, *_SCRIPTS)
  )
  environment = jinja2.Environment(
      loader=jinja2.FileSystemLoader(_SOURCES),
      autoescape=True,
      undefined=jinja2.StrictUndefined,
      trim_blocks=True,
      lstrip_blocks=True,
  )
  with (
      entries.open(encoding="ascii") as lines,
      # The hashes in the policy hold only if line endings stay unchanged.
      path.open("w", encoding="utf-8", errors="replace", newline="\n") as page,
  ):
    page.writelines(
        environment.get_template(_TEMPLATE).generate(
            generator=report_files.GENERATOR,
            policy=_content_security_policy(style=style, scripts=scripts),
            title=title,
            summary=summary,
            figures=figures,
            style=style,
            scripts=scripts,
            entries=lines,
            num_pictures=num_pictures,
            num_unreadable=num_unreadable,
        )
    )


def _content_security_policy(*, style: str, scripts: Sequence[str]) -> str:
  """Returns a policy that allows this style, these scripts and local images."""
  return "; ".join(
      [
          "default-src 'none'",
          f"style-src {_hash(style)}",
          f"script-src {' '.join(map(_hash, scripts))}",
          # Some browsers do not match files with 'self' on a page from disk.
          "img-src 'self' file:",
          "base-uri 'none'",
          "form-action 'none'",
          "require-trusted-types-for 'script'",
          "trusted-types 'none'",
      ]
  )


def _hash(text: str) -> str:
  digest = hashlib.sha256(text.encode()).digest()
  return f"'sha256-{base64.b64encode(digest).decode()}'"
