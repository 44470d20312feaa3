"""HTML report of one system's captions and scores."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import pathlib

from im2txt.data import caption_sources
from im2txt.evaluation import comparison
from im2txt.report import html_report


def write(
    report_dir: pathlib.Path,
    *,
    title: str,
    summary: str,
    scores: comparison.SystemScores,
    captions: Mapping[int, Sequence[html_report.ReportCaption]],
    images: Iterable[caption_sources.CaptionedImage],
    progress: Callable[[int], object] = lambda count: None,
) -> pathlib.Path:
  """Writes the report of a system, atomically.

  Args:
    report_dir: The folder of the report; see `html_report.write`.
    title: The heading of the page.
    summary: One or two sentences to show below the heading.
    scores: The scores; corpus scores and statistics are shown at the top.
    captions: The captions by image id, best first.
    images: The images with their files and references. Images without scores
      are left out.
    progress: Function called with the number of images finished since its last
      call.

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
