"""Tests of html_report."""

import base64
import hashlib
import html
import itertools
import json
import os
import pathlib
import re
import tracemalloc

from absl.testing import absltest
from absl.testing import parameterized
from PIL import Image

from im2txt.report import html_report

_HOSTILE = "</script><img src=x onerror=alert(1)>\"'<!--&\u2028"


def _entries(page):
  """Returns the entries in the page."""
  (text,) = re.findall(
      r'<script type="application/json" id="entries">(.*?)</script>', page, re.S
  )
  return json.loads(text)


class HtmlReportTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._dir = pathlib.Path(self.create_tempdir().full_path)

  def _picture(self, name, *, size=(8, 6), **kwargs):
    path = self._dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path, "PNG")
    captions = [html_report.ReportCaption("a dog .", 0.25)]
    return html_report.Picture(
        **{
            "path": path,
            "captions": captions,
            "references": ["a cat ."],
            **kwargs,
        }
    )

  def _write(self, pictures, **kwargs):
    return html_report.write(
        self._dir / "report",
        **{
            "title": "Pictures",
            "summary": "The pictures.",
            "figures": {"CIDEr": "0.93"},
            "pictures": pictures,
            **kwargs,
        },
    )

  def _page(self, pictures, **kwargs):
    return self._write(pictures, **kwargs).read_text(encoding="utf-8")

  def test_page_contains_all_arguments(self):
    path = self._write(
        [
            self._picture("1.jpg", is_right=False, scores={"CIDEr": 1.5}),
            self._picture("2.jpg", size=(640, 480)),
        ]
    )
    self.assertEqual(path, self._dir / "report" / "index.html")
    page = path.read_text(encoding="utf-8")
    for text in (
        "<h1>Pictures</h1>",
        "The pictures.",
        "<dt>CIDEr</dt><dd>0.93</dd>",
    ):
      self.assertIn(text, page)
    self.assertEqual(
        _entries(page),
        [
            {
                "name": "1.jpg",
                "thumbnail": "thumbnails/000000.jpg",
                "image": "thumbnails/000000.jpg",
                "captions": [["a dog .", 0.25]],
                "references": ["a cat ."],
                "scores": [["CIDEr", 1.5]],
                "isRight": False,
            },
            {
                "name": "2.jpg",
                "thumbnail": "thumbnails/000001.jpg",
                "image": "images/000001.jpg",
                "captions": [["a dog .", 0.25]],
                "references": ["a cat ."],
                "scores": [],
                "isRight": None,
            },
        ],
    )

  def test_report_contains_all_files_it_needs(self):
    path = self._write(
        [
            self._picture("a/1.jpg"),
            self._picture("b/1.jpg", size=(640, 480)),
        ]
    )
    self.assertNotIn("http:", path.read_text(encoding="utf-8"))
    self.assertNotIn("https:", path.read_text(encoding="utf-8"))
    self.assertNotIn(str(self._dir), path.read_text(encoding="utf-8"))
    report_dir = path.parent
    self.assertCountEqual(
        [
            file.relative_to(report_dir).as_posix()
            for file in report_dir.rglob("*.*")
        ],
        [
            "index.html",
            "thumbnails/000000.jpg",
            "thumbnails/000001.jpg",
            "images/000001.jpg",
        ],
    )

  def test_text_is_escaped(self):
    picture = self._picture(
        "a&b #1.jpg",
        captions=[html_report.ReportCaption(_HOSTILE, 0.5)],
        references=[_HOSTILE],
        scores={_HOSTILE: 1.0},
    )
    plain = self._page([])
    page = self._page(
        [picture],
        title=_HOSTILE,
        summary=_HOSTILE,
        figures={_HOSTILE: _HOSTILE},
    )
    for tag in ("<script", "</script", "<img", "<!--"):
      self.assertEqual(page.count(tag), plain.count(tag), tag)
    self.assertIn("<h1>&lt;/script&gt;&lt;img src=x", page)
    (entry,) = _entries(page)
    self.assertEqual(entry["captions"], [[_HOSTILE, 0.5]])
    self.assertEqual(entry["references"], [_HOSTILE])
    self.assertEqual(entry["scores"], [[_HOSTILE, 1.0]])
    self.assertEqual(entry["name"], "a&b #1.jpg")

  def test_policy_allows_only_own_scripts_and_style(self):
    page = self._page([])
    (policy,) = re.findall(r'Security-Policy" content="([^"]*)"', page)
    self.assertNotIn("unsafe", policy)
    directives = dict(
        directive.split(" ", 1)
        for directive in html.unescape(policy).split("; ")
    )
    self.assertEqual(directives["default-src"], "'none'")
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
      expected = [
          base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
          for text in re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
      ]
      self.assertNotEmpty(expected)
      self.assertEqual(
          directives[directive], " ".join(f"'sha256-{h}'" for h in expected)
      )

  def test_scripts_and_style_do_not_end_their_elements(self):
    page = self._page([])
    self.assertEqual(page.count("</script"), page.count("<script"))
    self.assertEqual(page.count("</style"), 1)
    self.assertNotIn("<!--", page)

  def test_page_loads_no_other_sources(self):
    self.assertNotRegex(self._page([]), r"https?:|//[a-z]+\.|@import|url\(")

  def test_no_figures(self):
    self.assertNotIn("<dl", self._page([], figures={}))

  def test_unreadable_images_are_counted(self):
    gone = self._picture("1.jpg")
    gone.path.unlink()
    broken = self._picture("2.jpg")
    broken.path.write_bytes(b"no picture")
    page = self._page([gone, broken, self._picture("3.jpg")])
    self.assertIn("2 of 3 images can’t", page)
    entries = _entries(page)
    self.assertEqual(
        [entry["thumbnail"] for entry in entries],
        [None, None, "thumbnails/000002.jpg"],
    )
    self.assertIsNone(entries[0]["image"])
    self.assertEqual(entries[0]["captions"], [["a dog .", 0.25]])

  def test_no_warning_if_all_images_are_readable(self):
    self.assertNotIn("images can’t", self._page([self._picture("1.jpg")]))

  @parameterized.parameters(float("nan"), float("inf"))
  def test_non_finite_numbers(self, number):
    page = self._page(
        [
            self._picture(
                "1.jpg",
                captions=[html_report.ReportCaption("", number)],
                references=[],
                scores={"CIDEr": number},
            )
        ]
    )
    (entry,) = _entries(page)
    self.assertEqual(entry["captions"], [["", None]])
    self.assertEqual(entry["scores"], [["CIDEr", None]])

  def test_non_ascii_text(self):
    caption = html_report.ReportCaption("一只狗 café 🐕", 0.5)
    page = self._page([self._picture("ä.jpg", captions=[caption])])
    (entry,) = _entries(page)
    self.assertEqual(entry["captions"], [["一只狗 café 🐕", 0.5]])
    self.assertEqual(entry["name"], "ä.jpg")

  def test_undecodable_file_name(self):
    picture = self._picture("1.jpg")
    name = os.fsdecode(b"\xff.jpg")
    picture = picture._replace(path=picture.path.rename(self._dir / name))
    (entry,) = _entries(self._page([picture], title=name))
    self.assertEqual(entry["name"], "?.jpg")
    self.assertEqual(entry["thumbnail"], "thumbnails/000000.jpg")

  def test_earlier_report_is_replaced(self):
    self._write([self._picture("1.jpg"), self._picture("2.jpg")], title="Old")
    path = self._write([self._picture("1.jpg")], title="New")
    self.assertIn("New", path.read_text(encoding="utf-8"))
    self.assertLen(os.listdir(path.parent / "thumbnails"), 1)

  def test_folder_with_other_files_is_rejected(self):
    (self._dir / "report").mkdir()
    (self._dir / "report" / "thesis.tex").touch()
    pictures = iter([self._picture("1.jpg")])
    for function in (
        lambda: html_report.check(self._dir / "report"),
        lambda: self._write(pictures),
    ):
      with self.assertRaisesRegex(ValueError, "holds thesis.tex"):
        function()
    self.assertLen(list(pictures), 1)

  def test_failure_leaves_no_report(self):
    def pictures():
      yield self._picture("1.jpg")
      raise RuntimeError("No more captions.")

    with self.assertRaisesRegex(RuntimeError, "No more captions"):
      self._write(pictures())
    self.assertEqual(os.listdir(self._dir), ["1.jpg"])

  def test_progress(self):
    counts = []
    self._write(
        [self._picture(f"{i}.jpg") for i in range(20)], progress=counts.append
    )
    self.assertEqual(sum(counts), 20)

  def test_ten_thousand_pictures_are_read_lazily(self):
    gone = self._picture("1.jpg")
    gone.path.unlink()  # Without images it takes a second.
    made = itertools.count()
    num_made = num_done = most_ahead = 0

    def pictures():
      nonlocal num_made
      for num_made in itertools.islice(made, 10_000):
        text = f"caption {num_made} " + "x" * 2_000
        yield gone._replace(captions=[html_report.ReportCaption(text, 0.5)])

    def progress(count):
      nonlocal num_done, most_ahead
      num_done += count
      most_ahead = max(most_ahead, num_made - num_done)

    tracemalloc.start()
    self.addCleanup(tracemalloc.stop)
    path = self._write(pictures(), progress=progress)
    _, peak = tracemalloc.get_traced_memory()
    self.assertEqual(num_done, 10_000)
    self.assertLess(most_ahead, 100)
    self.assertGreater(path.stat().st_size, 20e6)
    self.assertLess(peak, 5e6)
    tracemalloc.stop()
    entries = _entries(path.read_text(encoding="utf-8"))
    self.assertLen(entries, 10_000)
    self.assertStartsWith(entries[9_999]["captions"][0][0], "caption 9999 ")


if __name__ == "__main__":
  absltest.main()
