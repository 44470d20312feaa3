"""Tests of resume_journal: a journal may end at any byte."""

from pathlib import Path

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.batch_captioning import resume_journal
from im2txt.inference import captions

_SETTINGS = {"beam_size": 3, "checkpoint_path": ("a", "b"), "factor": 0.5}


def _result(file, words):
  caption = captions.Caption(
      words=tuple(words.split()),
      log_probability=-1.5,
      word_probabilities=tuple(0.5 for _ in words.split()),
      end_probability=0.5,
      score=-1.5,
  )
  return captions.FileCaptions(file, [caption])


_ALL = (
    _result("a.jpg", "a dog"),
    _result("b.jpg", "two"),
    _result("c.jpg", ""),
)


class ResumeJournalTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.output = Path(self.create_tempdir().full_path) / "out"
    self.path = self.output.with_name("out.partial")
    self.finished = self.output.with_name("out.journal")

  def _journal(self, *, resume=False, **settings):
    return resume_journal.Journal(
        str(self.output), {**_SETTINGS, **settings}, resume=resume
    )

  def _write(self, found=_ALL):
    with self._journal() as journal:
      for each in found:
        journal.add(each)

  def test_reads_in_the_order_of_the_files(self):
    with self._journal() as journal:
      for each in _ALL:
        self.assertNotIn(each.file, journal)
        journal.add(each)
        self.assertIn(each.file, journal)
      files = ["c.jpg", "no.jpg", "a.jpg"]
      self.assertEqual([*journal.read(files)], [_ALL[2], _ALL[0]])
      # Reading leaves where to append alone.
      journal.add(_result("d.jpg", "more"))
      self.assertEqual([*journal.read(["b.jpg"])], [_ALL[1]])
      journal.finish()
    self.assertFalse(self.path.exists())
    self.assertTrue(self.finished.exists())

  def test_goes_on_from_wherever_it_ends(self):
    self._write()
    content = self.path.read_bytes()
    header, *lines = content.splitlines(keepends=True)
    ends = [len(header) + sum(map(len, lines[:i])) for i in range(4)]
    for size in range(len(header), len(content) + 1):
      self.path.write_bytes(content[:size])
      with self._journal(resume=True) as journal:
        kept = [each for each in _ALL if each.file in journal]
        self.assertLen(kept, sum(end <= size for end in ends[1:]))
        self.assertEqual([*journal.read(["a.jpg", "b.jpg", "c.jpg"])], kept)
        for each in _ALL[len(kept) :]:
          journal.add(each)
      self.assertEqual(self.path.read_bytes(), content)

  def test_missing_files_keep_their_order(self):
    with self._journal() as journal:
      self.assertEqual(["c", "b"], journal.missing(["c", "b"]))
      journal.add(_ALL[1])
      self.assertEqual(
          ["c.jpg", "a.jpg"], journal.missing(["c.jpg", "b.jpg", "a.jpg"])
      )

  def test_captions_are_on_disk_at_once(self):
    with self._journal() as journal:
      journal.add(_ALL[0])
      self.assertIn(b"a dog", self.path.read_bytes())

  def test_an_interrupted_run_is_not_written_over(self):
    self._write()
    with self.assertRaisesRegex(ValueError, "interrupted. .*--resume"):
      self._journal()
    self.assertIn(b"a dog", self.path.read_bytes())

  def _finish(self, found=_ALL[:2], *, resume=False, **settings):
    with self._journal(resume=resume, **settings) as journal:
      for each in found:
        journal.add(each)
      self.output.write_text("whole")
      journal.finish()

  def test_more_is_added_to_what_is_finished(self):
    self._finish()
    with self._journal(resume=True) as journal:
      self.assertIn("a.jpg", journal)
      journal.add(_ALL[2])
    # Not finished, this time.
    self.assertEqual([self.output, self.path], self._files())
    self._finish([], resume=True)
    with self._journal(resume=True) as journal:
      self.assertEqual([*journal.read(["a.jpg", "c.jpg"])], [_ALL[0], _ALL[2]])

  def test_what_is_finished_is_replaced_without_resume(self):
    self._finish()
    with self._journal(beam_size=5) as journal:
      self.assertNotIn("a.jpg", journal)
    # Nothing came of it, so the earlier one stays with its output.
    self.assertEqual([self.output, self.finished], self._files())
    self._finish(_ALL[2:], beam_size=5)
    with self._journal(resume=True, beam_size=5) as journal:
      self.assertEqual([*journal.read(["a.jpg", "c.jpg"])], [_ALL[2]])

  def test_other_settings_leave_what_is_finished_alone(self):
    self._finish()
    with self.assertRaisesRegex(ValueError, "out.journal was made with beam"):
      self._journal(resume=True, beam_size=4)
    self.assertEqual([self.output, self.finished], self._files())

  def test_an_output_without_a_journal(self):
    self.output.write_text("whole")
    with self.assertRaisesRegex(ValueError, "out exists, .*out.journal"):
      self._journal(resume=True)
    with self._journal():
      pass
    self.output.unlink()
    self.output.mkdir()  # An empty folder for a page is nothing to add to.
    with self._journal(resume=True) as journal:
      journal.add(_ALL[0])

  def _files(self):
    return sorted(self.output.parent.iterdir(), key=lambda path: path.name)

  def test_nothing_to_go_on_with(self):
    self._write([])
    self.assertFalse(self.path.exists())
    with self._journal(resume=True) as journal:
      journal.add(_ALL[0])

  @parameterized.parameters(
      ({"beam_size": 4}, "beam_size=3, not 4"),
      (
          {"checkpoint_path": ["a"]},
          r"checkpoint_path=\['a', 'b'\], not \['a'\]",
      ),
  )
  def test_other_settings(self, settings, message):
    self._write()
    with self.assertRaisesRegex(ValueError, message):
      self._journal(resume=True, **settings)
    self.assertIn(b"a dog", self.path.read_bytes())

  @parameterized.parameters(b"", b"my notes", b"[1]\n", b'{"a": 1}\n')
  def test_another_file_is_left_alone(self, content):
    self.path.write_bytes(content)
    with self.assertRaisesRegex(ValueError, "not written by run_inference"):
      self._journal(resume=True)
    self.assertEqual(self.path.read_bytes(), content)

  def test_two_processes(self):
    with self._journal() as journal:
      journal.add(_ALL[0])
      with self.assertRaisesRegex(ValueError, "Another process is writing"):
        self._journal(resume=True)


if __name__ == "__main__":
  absltest.main()
