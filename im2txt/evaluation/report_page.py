"""The page of a report: a template, a style, scripts and the pictures' entries.

All of it is in the one file, which thereby works from disk in any browser: what
a page from disk may load of other files differs from one to the next. Its
Content-Security-Policy allows our own scripts alone, by their hashes.
"""

import base64
from collections.abc import Mapping
from collections.abc import Sequence
import hashlib
import pathlib

import jinja2

from im2txt.evaluation import report_folder

_SOURCES = pathlib.Path(__file__).parent
_TEMPLATE = "html_report_template.html"
_STYLE = "html_report.css"
_SCRIPTS = (
    "html_report_search.js",
    "html_report_cards.js",
    "html_report_detail.js",
    "html_report.js",
)


def write(
    path: pathlib.Path,
    *,
    title: str,
    summary: str,
    figures: Mapping[str, str],
    entries: pathlib.Path,
    num_pictures: int,
    num_unreadable: int,
) -> None:
  """Writes the page, without holding all entries at once.

  Args:
    path: The file to write.
    title: The heading.
    summary: A sentence or two below it.
    figures: Values to show on top, as text, by their names.
    entries: A file of JSON objects separated by commas, each on a line of its
      own, without "<".
    num_pictures: Their number.
    num_unreadable: How many of the pictures can't be read.
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
      # The hashes are of texts whose lines end as they do here.
      path.open("w", encoding="utf-8", errors="replace", newline="\n") as page,
  ):
    page.writelines(
        environment.get_template(_TEMPLATE).generate(
            generator=report_folder.GENERATOR,
            policy=_policy(style=style, scripts=scripts),
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


def _policy(*, style: str, scripts: Sequence[str]) -> str:
  """A Content-Security-Policy that allows these and the folder's images."""
  return "; ".join(
      [
          "default-src 'none'",
          f"style-src {_hash(style)}",
          f"script-src {' '.join(map(_hash, scripts))}",
          # Not every browser takes a file for 'self' on a page from disk.
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
