"""Tests of scores_report."""

import pathlib
from unittest import mock

from absl.testing import absltest

from im2txt.data import caption_sources
from im2txt.evaluation import caption_statistics
from im2txt.evaluation import comparison
from im2txt.evaluation import scores_report
from im2txt.report import html_report


class ScoresReportTest(absltest.TestCase):

  def test_images_with_scores_are_shown(self):
    scores = comparison.SystemScores(
        corpus={"CIDEr": 1.25},
        per_image={7: {"CIDEr": 1.5}, 5: {"CIDEr": 1.0}},
        statistics=caption_statistics.compute(["a dog", "a cat"]),
        n_best=None,
        oracle_cider=None,
    )
    captions = {
        5: [html_report.ReportCaption("a dog", 0.5)],
        7: [html_report.ReportCaption("a cat", 0.25)],
    }
    images = [
        caption_sources.CaptionedImage(i, f"/images/{i}.jpg", [f"Image {i}."])
        for i in (5, 6, 7)
    ]
    with mock.patch.object(html_report, "write") as write:
      scores_report.write(
          pathlib.Path("report"),
          title="Pets",
          summary="Of animals.",
          scores=scores,
          captions=captions,
          images=images,
      )
    self.assertEqual(write.call_args.args, (pathlib.Path("report"),))
    arguments = write.call_args.kwargs
    self.assertEqual(arguments["title"], "Pets")
    self.assertEqual(arguments["figures"]["CIDEr"], "1.250")
    self.assertEqual(arguments["figures"]["images"], "2")
    self.assertEqual(
        list(arguments["pictures"]),
        [
            html_report.Picture(
                path=pathlib.Path(f"/images/{i}.jpg"),
                captions=captions[i],
                references=[f"Image {i}."],
                scores=scores.per_image[i],
            )
            for i in (5, 7)
        ],
    )


if __name__ == "__main__":
  absltest.main()
