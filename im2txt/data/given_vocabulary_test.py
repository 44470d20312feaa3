"""Tests of given_vocabulary."""

from pathlib import Path

from absl.testing import absltest

from im2txt.data import caption_dataset
from im2txt.data import given_vocabulary


class GivenVocabularyTest(absltest.TestCase):

  def test_copies_and_counts(self):
    folder = Path(self.create_tempdir().full_path)
    given, copy = folder / "given.txt", folder / "copy.txt"
    given.write_text("dog 9\n</S> 5\n<S> 5\n")
    lines = []
    images = [
        caption_dataset.TokenizedImage(
            1, "a.jpg", [["<S>", "a", "dog", "</S>"], ["<S>", "cat", "</S>"]]
        )
    ]
    word_ids = given_vocabulary.take(
        str(given), str(copy), {"train": images}, lines.append
    )
    self.assertEqual(word_ids.of(images[0].captions[0]), [2, 3, 0, 1])
    self.assertEqual(copy.read_bytes(), given.read_bytes())
    self.assertEqual(
        lines, ["2 of 7 words of train (28.6%) are not in the vocabulary."]
    )

  def test_may_replace_itself(self):
    path = self.create_tempfile(content="<S>\n</S>\nx\n<UNK>").full_path
    word_ids = given_vocabulary.take(path, path, {}, print)
    self.assertEqual(word_ids.of(["x", "y"]), [2, 3])
    self.assertEqual(Path(path).read_text(), "<S>\n</S>\nx\n<UNK>")

  def test_refuses(self):
    with self.assertRaisesRegex(FileNotFoundError, "no vocabulary file '/no'"):
      given_vocabulary.take("/no", "/no/copy", {}, print)
    path = self.create_tempfile(content="a 1").full_path
    with self.assertRaisesRegex(ValueError, "lacks the start_word"):
      given_vocabulary.take(path, "/no/copy", {}, print)


if __name__ == "__main__":
  absltest.main()
