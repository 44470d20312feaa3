"""Tests of html_report."""

import pathlib

from absl.testing import absltest

from im2txt.evaluation import html_report


class HtmlReportTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._dir = pathlib.Path(self.create_tempdir().full_path)

  def _picture(self, name, **kwargs):
    path = self._dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"bytes of " + name.encode())
    captions = [html_report.Caption("a dog .", 0.25)]
    return html_report.Picture(path, captions, ["a cat ."], **kwargs)

  def _write(self, pictures, **kwargs):
    return html_report.write(
        self._dir / "report",
        **{
            "title": "Pictures",
            "summary": "What was seen.",
            "figures": {"CIDEr": "0.93"},
            "pictures": pictures,
            **kwargs,
        },
    )

  def test_shows_everything_it_is_given(self):
    path = self._write([self._picture("1.jpg", is_right=False)])
    self.assertEqual(path, self._dir / "report" / "index.html")
    page = path.read_text(encoding="utf-8")
    for text in (
        "<h1>Pictures</h1>",
        "What was seen.",
        "<dt>CIDEr</dt><dd>0.93</dd>",
        'src="images/1.jpg"',
        "a dog .",
        "0.25",
        "width: 25.0%",
        "a cat .",
        "wrong",
    ):
      self.assertIn(text, page)

  def test_needs_nothing_from_elsewhere(self):
    path = self._write([self._picture("1.jpg"), self._picture("2.jpg")])
    self.assertNotIn("http", path.read_text(encoding="utf-8"))
    self.assertEqual(
        (path.parent / "images" / "2.jpg").read_bytes(), b"bytes of 2.jpg"
    )
    self.assertCountEqual(
        [file.name for file in path.parent.rglob("*.*")],
        ["index.html", "1.jpg", "2.jpg"],
    )

  def test_counts_right_and_wrong(self):
    page = self._write(
        [
            self._picture(f"{i}.jpg", is_right=is_right)
            for i, is_right in enumerate((True, False, True))
        ]
    ).read_text(encoding="utf-8")
    self.assertEqual(page.count('class="is-right"'), 2)
    self.assertEqual(page.count('class="is-wrong"'), 1)
    self.assertRegex(page, r"Right\s+2<")
    self.assertRegex(page, r"Wrong\s+1<")

  def test_says_nothing_of_right_and_wrong_where_that_is_unknown(self):
    page = self._write([self._picture("1.jpg")]).read_text(encoding="utf-8")
    self.assertNotIn("<fieldset", page)
    self.assertNotIn("✗", page)

  def test_text_is_escaped(self):
    page = self._write(
        [self._picture("a&b #1.jpg")], title="<script>"
    ).read_text(encoding="utf-8")
    self.assertNotIn("<script>", page)
    self.assertIn("&lt;script&gt;", page)
    self.assertIn('src="images/a%26b%20%231.jpg"', page)

  def test_writes_over_an_older_report(self):
    self._write([self._picture("1.jpg")], title="Old")
    page = self._write([self._picture("1.jpg")], title="New").read_text()
    self.assertIn("New", page)

  def test_pictures_of_the_same_name(self):
    with self.assertRaisesRegex(ValueError, "1 names for 2 pictures"):
      self._write([self._picture("a/1.jpg"), self._picture("b/1.jpg")])


if __name__ == "__main__":
  absltest.main()
