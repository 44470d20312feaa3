"""Tests of caption_journal: a journal may end at any byte."""

from pathlib import Path

from absl.testing import absltest
from absl.testing import parameterized

from im2txt import caption_formats
from im2txt import caption_journal
from im2txt import captions

_SETTINGS = {"beam_size": 3, "checkpoint_path": ("a", "b"), "factor": 0.5}


def _found(file, words):
  said = captions.Caption(
      words=tuple(words.split()),
      log_probability=-1.5,
      word_probabilities=tuple(0.5 for _ in words.split()),
      end_probability=0.5,
      score=-1.5,
  )
  return caption_formats.FileCaptions(file, [said])


_ALL = (_found("a.jpg", "a dog"), _found("b.jpg", "two"), _found("c.jpg", ""))


class CaptionJournalTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.path = Path(self.create_tempdir().full_path) / "out.partial"

  def _journal(self, *, resume=False, **settings):
    return caption_journal.Journal(
        str(self.path), {**_SETTINGS, **settings}, resume=resume
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
      journal.add(_found("d.jpg", "more"))
      self.assertEqual([*journal.read(["b.jpg"])], [_ALL[1]])
      journal.remove()
    self.assertFalse(self.path.exists())

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

  def test_what_was_said_is_on_disk_at_once(self):
    with self._journal() as journal:
      journal.add(_ALL[0])
      self.assertIn(b"a dog", self.path.read_bytes())

  def test_an_interrupted_run_is_not_written_over(self):
    self._write()
    with self.assertRaisesRegex(ValueError, "interrupted. Go on .*--resume"):
      self._journal()
    self.assertIn(b"a dog", self.path.read_bytes())

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
