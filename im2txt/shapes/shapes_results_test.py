"""Tests of shapes_results."""

import pathlib

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.report import html_report
from im2txt.shapes import shapes_results
from im2txt.shapes import shapes_world

_PRINTED = """\
{"file": "val/held_out_000001.jpg", "captions": [\
{"caption": "a red triangle above a blue circle .", "probability": 0.25}, \
{"caption": "a (odd) caption", "probability": 1e-09}]}
{"file": "val/held_out_000002.jpg", "captions": [\
{"caption": "a red triangle above a blue square .", "probability": 0.125}]}
"""
_SCENES = [
    shapes_world.Scene(
        image_id,
        shapes_world.Thing("red", "triangle"),
        shapes_world.Thing("blue", "circle"),
        is_held_out=True,
    )
    for image_id in (1, 2)
]


def _captions():
  return shapes_results.read_captions(_PRINTED.splitlines(keepends=True))


class ShapesResultsTest(parameterized.TestCase):

  def test_read_captions(self):
    captions = _captions()
    self.assertEqual(
        captions["held_out_000001.jpg"],
        [
            html_report.ReportCaption(
                "a red triangle above a blue circle .", 0.25
            ),
            html_report.ReportCaption("a (odd) caption", 1e-9),
        ],
    )
    self.assertLen(captions["held_out_000002.jpg"], 1)

  @parameterized.parameters(
      ("Perplexity = 1.583210\n", 1.58321), ("Perplexity = inf", float("inf"))
  )
  def test_read_perplexity(self, text, expected):
    self.assertEqual(shapes_results.read_perplexity(text), expected)

  def test_no_perplexity(self):
    with self.assertRaisesRegex(ValueError, "No perplexity"):
      shapes_results.read_perplexity("Something else.")

  def test_figures(self):
    figures = shapes_results.figures(_SCENES, _captions(), perplexity=1.5)
    self.assertEqual(
        figures | {"BLEU-4": "", "CIDEr": ""},
        {
            "described right": "50.0%",
            "held-out scenes": "1 of 2",
            "BLEU-4": "",
            "CIDEr": "",
            "perplexity": "1.500",
        },
    )

  def test_right_captions_have_the_best_scores(self):
    scenes = [_SCENES[0]]
    figures = shapes_results.figures(scenes, _captions(), perplexity=1.5)
    self.assertEqual(figures["held-out scenes"], "1 of 1")
    self.assertEqual(figures["BLEU-4"], "1.000")

  @parameterized.parameters(
      ("above a blue circle is a red triangle .", True),
      ("a red triangle above a blue circle", False),
      ("above a red triangle is a blue circle .", False),
      ("a blue circle above a red triangle .", False),
      ("", False),
  )
  def test_word_for_word(self, text, is_right):
    captions = {"held_out_000001.jpg": [html_report.ReportCaption(text, 0.5)]}
    figures = shapes_results.figures([_SCENES[0]], captions, perplexity=1.5)
    self.assertEqual(figures["held-out scenes"], f"{int(is_right)} of 1")

  def test_scene_without_caption(self):
    captions = {"held_out_000001.jpg": _captions()["held_out_000001.jpg"]}
    with self.assertRaisesRegex(ValueError, "held_out_000002.jpg"):
      shapes_results.figures(_SCENES, captions, perplexity=1.5)

  def test_write_report(self):
    folder = pathlib.Path(self.create_tempdir().full_path)
    for scene in _SCENES:
      (folder / scene.file_name).touch()
    results = shapes_results.figures(_SCENES, _captions(), perplexity=1.5)
    path = shapes_results.write_report(
        folder / "report", _SCENES, _captions(), results, image_dir=folder
    )
    page = path.read_text(encoding="utf-8")
    self.assertIn("50.0%", page)
    self.assertEqual(page.count('"isRight":true'), 1)
    self.assertEqual(page.count('"isRight":false'), 1)


if __name__ == "__main__":
  absltest.main()
