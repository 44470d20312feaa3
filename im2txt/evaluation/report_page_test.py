"""Tests of report_page."""

import base64
import hashlib
import html
import pathlib
import re

from absl.testing import absltest

from im2txt.evaluation import report_page

_HOSTILE = "</script><script>alert(1)</script>\"'<!--"


class ReportPageTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._dir = pathlib.Path(self.create_tempdir().full_path)

  def _page(self, entries="", **kwargs):
    (self._dir / "entries.json").write_text(entries)
    report_page.write(
        self._dir / "index.html",
        **{
            "title": "Pictures",
            "summary": "What was seen.",
            "figures": {"CIDEr": "0.93"},
            "entries": self._dir / "entries.json",
            "num_pictures": 2,
            "num_unreadable": 0,
            **kwargs,
        },
    )
    return (self._dir / "index.html").read_bytes().decode()

  def test_entries(self):
    page = self._page('{"name":"1"}\n,{"name":"2"}\n')
    self.assertIn(
        '<script type="application/json" id="entries">[\n'
        '{"name":"1"}\n,{"name":"2"}\n]</script>',
        page,
    )

  def test_policy_allows_what_is_there_and_no_more(self):
    page = self._page()
    (policy,) = re.findall(r'Security-Policy" content="([^"]*)"', page)
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

  def test_own_sources_do_not_end_their_elements(self):
    page = self._page()
    self.assertEqual(page.count("</script"), page.count("<script"))
    self.assertEqual(page.count("</style"), 1)
    self.assertNotIn("<!--", page)

  def test_text_is_escaped(self):
    page = self._page(
        title=_HOSTILE, summary=_HOSTILE, figures={_HOSTILE: _HOSTILE}
    )
    self.assertEqual(page.count("alert(1)"), 5)  # The title is there twice.
    self.assertEqual(page.count(html.escape("<script>alert(1)</script>")), 5)

  def test_nothing_is_loaded_from_elsewhere(self):
    self.assertNotRegex(self._page(), r"https?:|//[a-z]+\.|@import|url\(")

  def test_no_figures(self):
    self.assertNotIn("<dl", self._page(figures={}))

  def test_unreadable_images(self):
    self.assertNotIn("images can’t", self._page())
    self.assertIn("1 of 2 images can’t", self._page(num_unreadable=1))


if __name__ == "__main__":
  absltest.main()
