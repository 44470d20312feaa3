"""The HTML report of one system's captions with their scores."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import pathlib

from im2txt.data import captions_json
from im2txt.evaluation import comparison
from im2txt.report import html_report


def write(
    report_dir: pathlib.Path,
    *,
    title: str,
    summary: str,
    scores: comparison.SystemScores,
    captions: Mapping[int, Sequence[html_report.Caption]],
    images: Iterable[captions_json.CaptionedImage],
    progress: Callable[[int], object] = lambda count: None,
) -> pathlib.Path:
  """Writes the report.

  Args:
    report_dir: As of `html_report.write`, like `title` and `summary`.
    title: The page's heading.
    summary: A sentence or two below it.
    scores: Of the captions, whose figures are on top of the page.
    captions: By image id, what was said of the image, best first.
    images: With their references and files. Those without scores are left out.
    progress: As of `html_report.write`.

  Returns:
    The path of the page.
  """
  return html_report.write(
      report_dir,
      title=title,
      summary=summary,
      figures=comparison.figures(scores),
      pictures=(
          html_report.Picture(
              path=pathlib.Path(image.path),
              captions=captions[image.image_id],
              references=image.captions,
              scores=scores.per_image[image.image_id],
          )
          for image in images
          if image.image_id in scores.per_image
      ),
      progress=progress,
  )
