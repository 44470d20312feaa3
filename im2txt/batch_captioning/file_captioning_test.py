"""Tests of file_captioning: what is interrupted goes on."""

from pathlib import Path

from absl.testing import absltest
from absl.testing import parameterized

from im2txt import captioning
from im2txt.batch_captioning import caption_writer
from im2txt.batch_captioning import file_captioning
from im2txt.inference import captions


def _said(*sentences):
  return [
      captions.Caption(
          words=tuple(sentence.split()),
          log_probability=-1.5,
          word_probabilities=(),
          end_probability=None,
          score=-1.5,
      )
      for sentence in sentences
  ]


class _FakeCaptioner:
  """Says what files hold; those that hold nothing are no images."""

  def caption_each(self, sources, *, read, **options):
    self.options = options
    for source in sources:
      text = read(source).decode()
      yield _said(text, "else") if text else captioning.ImageError("It is bad.")


class FileCaptioningTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)
    self.files = [str(self.folder / f"{i}.jpg") for i in range(6)]
    for i, file in enumerate(self.files):
      Path(file).write_text(f"image {i}")
    self.captioner = _FakeCaptioner()
    self.errors = []

  def _caption(self, files, **options):
    return file_captioning.caption_files(
        files,
        lambda: self.captioner,
        on_error=lambda *error: self.errors.append(error),
        **options,
    )

  def _to_file(self, caption, *, resume, files=None):
    """Returns what is saved."""
    saved = []
    file_captioning.caption_to_file(
        self.files if files is None else files,
        caption,
        saved.extend,
        output=str(self.folder / "out"),
        settings={"beam_size": 3},
        resume=resume,
    )
    return saved

  def test_captions_files(self):
    Path(self.files[1]).write_text("")
    found = list(self._caption(self.files[:3], num_captions=1, batch_size=2))
    self.assertEqual(
        found,
        [
            caption_writer.FileCaptions(self.files[i], _said(f"image {i}"))
            for i in (0, 2)
        ],
    )
    self.assertEqual(self.errors, [(self.files[1], "It is bad.")])
    self.assertEqual(self.captioner.options, {"batch_size": 2})

  def test_without_files_no_model_is_loaded(self):
    found = file_captioning.caption_files(
        [], lambda: self.fail("Loaded."), on_error=self.fail
    )
    self.assertEqual(list(found), [])

  @parameterized.parameters(0, 1, 4, 6)
  def test_goes_on_after_an_interruption(self, num_before):
    expected = list(self._caption(self.files))
    captioned = []

    def caption(files, end=99):
      for i, found in enumerate(self._caption(files)):
        if i == end:
          raise KeyboardInterrupt
        captioned.append(found.file)
        yield found

    def save_and_fail(found):
      raise OSError("The disk is full.")

    with self.assertRaises((KeyboardInterrupt, OSError)):
      file_captioning.caption_to_file(
          self.files,
          lambda files: caption(files, num_before),
          save_and_fail,
          output=str(self.folder / "out"),
          settings={"beam_size": 3},
          resume=False,
      )
    self.assertLen(captioned, num_before)
    self.assertEqual(self._to_file(caption, resume=True), expected)
    # Each once, in both runs together.
    self.assertEqual(captioned, self.files)
    self.assertFalse((self.folder / "out.partial").exists())

  def test_more_files_are_added_to_a_run_that_ended(self):
    captioned = []

    def caption(files):
      captioned.append([Path(file).stem for file in files])
      yield from self._caption(files)

    self._to_file(caption, resume=False, files=self.files[2:4])
    saved = self._to_file(caption, resume=True)
    self.assertEqual(captioned, [["2", "3"], ["0", "1", "4", "5"]])
    self.assertEqual(saved, list(self._caption(self.files)))
    with self.assertLogs("absl", "INFO") as logged:
      self.assertEqual(self._to_file(caption, resume=True), saved)
    self.assertEmpty(captioned[-1])
    self.assertIn("Nothing to do: all 6 files", "".join(logged.output))

  def test_a_file_that_failed_is_tried_again_and_takes_its_place(self):
    content = Path(self.files[1]).read_text()
    Path(self.files[1]).write_text("")

    def caption(files):
      yield from self._caption(files)
      raise KeyboardInterrupt

    with self.assertRaises(KeyboardInterrupt):
      self._to_file(caption, resume=False)
    Path(self.files[1]).write_text(content)
    saved = self._to_file(self._caption, resume=True)
    self.assertEqual([found.file for found in saved], self.files)

  def test_files_that_are_no_longer_named_are_left_out(self):
    def caption(files):
      yield from self._caption(files[:4])
      raise KeyboardInterrupt

    with self.assertRaises(KeyboardInterrupt):
      self._to_file(caption, resume=False)
    files = [self.files[5], self.files[0]]
    saved = self._to_file(self._caption, resume=True, files=files)
    self.assertEqual([found.file for found in saved], files)


if __name__ == "__main__":
  absltest.main()
