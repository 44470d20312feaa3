"""Tests of word_counts."""

from pathlib import Path

from absl.testing import absltest

from im2txt.data import word_counts


class WordCountsTest(absltest.TestCase):

  def test_counts_in_descending_order_and_keeps_that_of_equal_ones(self):
    captions = [["<S>", "b", "a", "</S>"], ["<S>", "a", "c", "a", "</S>"]]
    self.assertEqual(
        word_counts.count_words(iter(captions)),
        [("a", 3), ("<S>", 2), ("</S>", 2), ("b", 1), ("c", 1)],
    )

  def test_writes_lines_without_a_final_newline(self):
    path = Path(self.create_tempdir().full_path, "word_counts.txt")
    word_counts.write(str(path), [("a", 3), ("café", 2), ("<S>", 2)])
    self.assertEqual(path.read_bytes(), "a 3\ncafé 2\n<S> 2".encode())

  def test_an_unknown_word_has_the_id_after_the_last(self):
    ids = word_counts.WordIds.of_counts([("a", 3), ("<S>", 2), ("</S>", 2)])
    self.assertEqual(ids.of(["<S>", "a", "zebra", "</S>"]), [1, 0, 3, 2])
    self.assertEqual(word_counts.WordIds({}).of(["a"]), [0])

  def test_the_unknown_word_may_be_in_the_vocabulary(self):
    ids = word_counts.WordIds({"a": 0, "<UNK>": 1, "b": 2})
    self.assertEqual(ids.of(["b", "zebra", "<UNK>"]), [2, 1, 1])


if __name__ == "__main__":
  absltest.main()
