"""Tests of report_folder."""

import os
import pathlib

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.evaluation import report_folder


class ReportFolderTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._dir = pathlib.Path(self.create_tempdir().full_path)
    self._report = self._dir / "report"

  def _write(self, text="", name=report_folder.PAGE):
    with report_folder.create(self._report) as folder:
      (folder / "thumbnails").mkdir()
      (folder / "thumbnails" / "000000.jpg").touch()
      (folder / name).write_text(f"{report_folder.GENERATOR} {text}")

  def _page(self):
    return (self._report / report_folder.PAGE).read_text()

  def test_appears_at_the_end(self):
    with report_folder.create(self._report) as folder:
      (folder / report_folder.PAGE).touch()
      self.assertFalse(self._report.exists())
    self.assertEqual(os.listdir(self._dir), ["report"])
    self.assertEqual(os.listdir(self._report), [report_folder.PAGE])

  def test_its_parents_are_made(self):
    self._report = self._dir / "a" / "b" / "report"
    self._write()
    self.assertTrue(self._report.is_dir())

  def test_nothing_is_left_of_a_failure(self):
    with (
        self.assertRaises(KeyboardInterrupt),
        report_folder.create(self._report) as folder,
    ):
      (folder / report_folder.PAGE).touch()
      raise KeyboardInterrupt
    self.assertEmpty(os.listdir(self._dir))

  def test_earlier_report_is_replaced_whole(self):
    self._write("old")
    (self._report / "thumbnails" / "000001.jpg").touch()
    self._write("new")
    self.assertIn("new", self._page())
    self.assertEqual(os.listdir(self._report / "thumbnails"), ["000000.jpg"])
    self.assertEqual(os.listdir(self._dir), ["report"])

  def test_earlier_report_stays_after_a_failure(self):
    self._write("old")
    with self.assertRaises(OSError), report_folder.create(self._report):
      raise OSError("No space left.")
    self.assertIn("old", self._page())
    self.assertEqual(os.listdir(self._dir), ["report"])

  def test_earlier_report_returns_if_the_new_one_can_not_be_renamed(self):
    self._write("old")
    with (
        self.assertRaises(OSError),
        report_folder.create(self._report) as folder,
    ):
      folder.rmdir()
    self.assertIn("old", self._page())

  def test_what_a_killed_process_left_is_not_mixed_in(self):
    partial = self._dir / ".report.partial"
    partial.mkdir()
    (partial / "half").touch()
    self._write()
    self.assertNotIn("half", os.listdir(self._report))
    self.assertEqual(os.listdir(self._dir), ["report"])

  def test_link_to_a_folder_stays_a_link(self):
    (self._dir / "elsewhere").mkdir()
    self._report.symlink_to(self._dir / "elsewhere")
    self._write()
    self.assertTrue(self._report.is_symlink())
    self.assertTrue((self._dir / "elsewhere" / report_folder.PAGE).exists())

  def test_empty_folder(self):
    self._report.mkdir()
    self._write()
    self.assertTrue(self._page())

  @parameterized.parameters(".DS_Store", "thumbnails/Thumbs.db")
  def test_what_file_managers_leave_does_no_harm(self, name):
    self._write()
    (self._report / name).touch()
    report_folder.check(self._report)

  @parameterized.parameters(
      "thesis.tex", "thumbnails/holiday.jpg", "index.html~", ".git"
  )
  def test_folder_with_other_things_is_left_alone(self, name):
    self._write()
    (self._report / name).touch()
    with self.assertRaisesRegex(ValueError, f"{self._report} holds {name}"):
      self._write("new")
    self.assertNotIn("new", self._page())
    self.assertEqual(os.listdir(self._dir), ["report"])

  def test_page_of_others_is_left_alone(self):
    self._report.mkdir()
    (self._report / report_folder.PAGE).write_text("<h1>My home page</h1>")
    with self.assertRaisesRegex(ValueError, "holds index.html"):
      self._write()
    self.assertIn("home", self._page())

  def test_what_came_in_the_meantime_is_left_alone(self):
    with (
        self.assertRaisesRegex(ValueError, "holds thesis.tex"),
        report_folder.create(self._report),
    ):
      self._report.mkdir()
      (self._report / "thesis.tex").touch()
    self.assertEqual(os.listdir(self._report), ["thesis.tex"])
    self.assertEqual(os.listdir(self._dir), ["report"])

  def test_file(self):
    self._report.touch()
    for path in (self._report, self._report / "a" / "b"):
      with self.assertRaisesRegex(ValueError, "report is a file"):
        report_folder.check(path)


if __name__ == "__main__":
  absltest.main()
