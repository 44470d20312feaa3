"""A page of pictures with their captions, to look at in a browser.

The report is a folder that opens from disk and needs nothing from elsewhere:

    report_dir/index.html
    report_dir/images/...
"""

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
import shutil
from typing import NamedTuple

import jinja2

_TEMPLATE = "html_report_template.html"


class Caption(NamedTuple):
  """A caption and the probability that the model gives it."""

  text: str
  probability: float


class Picture(NamedTuple):
  """A picture in the report.

  Attributes:
    path: The image file, which is copied; file names must differ.
    captions: The model's captions, best first.
    references: What people, or the world itself, say of the picture.
    is_right: Whether the first caption is right, if that can be said.
  """

  path: pathlib.Path
  captions: Sequence[Caption]
  references: Sequence[str]
  is_right: bool | None = None


def write(
    report_dir: pathlib.Path,
    *,
    title: str,
    summary: str,
    figures: Mapping[str, str],
    pictures: Sequence[Picture],
) -> pathlib.Path:
  """Writes the report; the page appears last and whole.

  Args:
    report_dir: The folder of the report; made if it is missing.
    title: The page's heading.
    summary: A sentence or two below it.
    figures: Values to show on top, as text, by their names.
    pictures: In the order to show them in.

  Returns:
    The path of the page.

  Raises:
    ValueError: If two pictures have the same file name.
  """
  names = {picture.path.name for picture in pictures}
  if len(names) < len(pictures):
    raise ValueError(
        f"The pictures of a report need different file names. Got {len(names)}"
        f" names for {len(pictures)} pictures."
    )
  image_dir = report_dir / "images"
  image_dir.mkdir(parents=True, exist_ok=True)
  for picture in pictures:
    shutil.copyfile(picture.path, image_dir / picture.path.name)
  environment = jinja2.Environment(
      loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
      autoescape=True,
      undefined=jinja2.StrictUndefined,
      trim_blocks=True,
      lstrip_blocks=True,
  )
  page = environment.get_template(_TEMPLATE).render(
      title=title, summary=summary, figures=figures, pictures=pictures
  )
  path = report_dir / "index.html"
  partial = path.with_suffix(".tmp")
  partial.write_text(page, encoding="utf-8")
  return partial.replace(path)
