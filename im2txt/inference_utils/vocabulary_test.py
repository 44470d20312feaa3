"""Tests of vocabulary."""

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.inference_utils import vocabulary

_WORDS = ["a", "<S>", "</S>", "café", "<UNK>"]


class VocabularyTest(parameterized.TestCase):

  def _vocabulary(self, content: bytes, **words) -> vocabulary.Vocabulary:
    path = self.create_tempfile("words.txt", content, mode="wb").full_path
    return vocabulary.Vocabulary(path, **words)

  @parameterized.named_parameters(
      ("counts", "a 9\n<S> 5\n</S> 5\ncafé 4"),
      ("final_newline", "a 9\n<S> 5\n</S> 5\ncafé 4\n"),
      ("final_empty_lines", "a 9\n<S> 5\n</S> 5\ncafé 4\n\n \n"),
      ("bare_words", "a\n<S>\n</S>\ncafé"),
      ("carriage_returns", "a 9\r\n<S> 5\r\n</S> 5\r\ncafé 4\r\n"),
      ("bare_words_and_carriage_returns", "a\r\n<S>\r\n</S>\r\ncafé\r\n"),
      ("byte_order_mark", "\ufeffa 9\n<S> 5\n</S> 5\ncafé 4"),
      ("tabs", "a\t9\n<S>\t5\n</S>\t5\ncafé\t4"),
      (
          "bytes_of_python_3",
          "b'a' 9\nb'<S>' 5\nb'</S>' 5\nb\"caf\\xc3\\xa9\" 4",
      ),
      ("some_bytes_of_python_3", "b'a' 9\n<S> 5\n</S> 5\nb'caf\\xc3\\xa9'"),
      ("unknown_word_in_the_file", "a 9\n<S> 5\n</S> 5\ncafé 4\n<UNK> 1"),
  )
  def test_reads_words_in_the_order_of_their_ids(self, text):
    vocab = self._vocabulary(text.encode())
    self.assertEqual(vocab.reverse_vocab, _WORDS)
    self.assertEqual(
        vocab.vocab, {"a": 0, "<S>": 1, "</S>": 2, "café": 3, "<UNK>": 4}
    )
    self.assertEqual((vocab.start_id, vocab.end_id, vocab.unk_id), (1, 2, 4))

  @parameterized.named_parameters(
      ("by_a_program", "</S> 4\n<S> 4\na 4\nblue 2\nred 2", "alphabetical"),
      ("by_a_locale", "a 4\nblue 2\nred 2\n<S> 4\n</S> 4\nsea 2", "alpha"),
      ("backwards", "red 2\nblue 2\na 4\n<S> 4\n</S> 4", "alphabetical"),
      ("without_counts", "</S>\n<S>\na\nblue\nred", "alphabetical"),
      ("rarest_first", "on 1\nblue 2\nsea 3\na 4\n<S> 4\n</S> 4", "line 1 to"),
      (
          "shuffled",
          "<S> 9\n</S> 9\na 1\nb 5\nd 2\nc 3\nf 1\ng 2\ne 1\nh 4",
          "line 3 to",
      ),
  )
  def test_warns_of_another_order(self, text, expected):
    with self.assertLogs("absl", "WARNING") as logs:
      self._vocabulary(text.encode())
    self.assertLen(logs.output, 1)
    self.assertRegex(logs.output[0], expected)

  @parameterized.named_parameters(
      ("ties", "a 9\n</S> 5\n<S> 5\nz 2\nb 2"),
      ("extended", "a 9\n<S> 5\n</S> 5\nred 2\non 1\nzebra 4\nfox 1"),
      ("no_counts", "a\n<S>\n</S>\nred\non\nzebra\nfox"),
      ("bytes", "b'a' 9\nb'<S>' 5\nb'</S>' 5\nb'on' 4\nb'is' 3"),
      ("few_words", "<S> 4\n</S> 4\na 4"),
  )
  def test_does_not_warn_of_a_builders_order(self, text):
    with self.assertNoLogs("absl", "WARNING"):
      self._vocabulary(text.encode())

  def test_counts(self):
    vocab = self._vocabulary(b"a 9\n<S> 5\n</S> 5\nred")
    self.assertEqual([9, 5, 5, 0], vocab.counts)

  def test_git_lfs_pointer(self):
    with self.assertRaisesRegex(ValueError, "words.txt is a Git LFS pointer"):
      self._vocabulary(b"version https://git-lfs.github.com/spec/v1\noid a\n")

  def test_looks_special_words_up_by_name(self):
    vocab = self._vocabulary(b"</S> 5\nend 3\n<S> 5\nbegin 1\nx 1")
    self.assertEqual((vocab.start_id, vocab.end_id, vocab.unk_id), (2, 0, 5))

  def test_takes_other_special_words(self):
    vocab = self._vocabulary(
        b"<UNK> 2\nbegin 1\nend 1\nunk 1",
        start_word="begin",
        end_word="end",
        unk_word="unk",
    )
    self.assertEqual((vocab.start_id, vocab.end_id, vocab.unk_id), (1, 2, 3))
    self.assertLen(vocab.reverse_vocab, 4)

  def test_a_word_may_be_any_text_without_spaces(self):
    words = ["собака", "犬", "كلب", "🐕", "b", "b'", 'b"', "'s", "\u00a0x"]
    vocab = self._vocabulary("\n".join(["<S>", "</S>", *words]).encode())
    self.assertEqual(vocab.reverse_vocab[2:-1], words)

  @parameterized.named_parameters(
      ("apostrophe", 'b"\'s"', "'s"),
      ("escaped_quote", "b'\\'\"'", "'\""),
      ("no_utf8", r"b'\xff'", r"b'\xff'"),
      ("no_bytes", "b'é'", "b'é'"),
  )
  def test_bytes_of_python_3(self, text, word):
    vocab = self._vocabulary(f"<S>\n</S>\n{text} 4".encode())
    self.assertEqual(vocab.id_to_word(2), word)

  def test_words_to_ids_and_back(self):
    vocab = self._vocabulary(b"a 9\n<S> 5\n</S> 5")
    self.assertEqual(vocab.word_to_id("a"), 0)
    self.assertEqual(vocab.word_to_id("zebra"), 3)
    self.assertEqual(vocab.id_to_word(0), "a")
    self.assertEqual(vocab.id_to_word(3), "<UNK>")
    self.assertEqual(vocab.id_to_word(11999), "<UNK>")

  def test_has_no_more_words_than_the_model(self):
    vocab = self._vocabulary(b"a 9\n<S> 5\n</S> 5")
    vocab.check_fits(4)
    with self.assertRaisesRegex(
        ValueError, f"{vocab.vocab_file} has 4 words.* vocab_size=3"
    ):
      vocab.check_fits(3)

  @parameterized.named_parameters(
      ("start", b"a 1\n</S> 1", "start_word '<S>' is missing"),
      ("end", b"a 1\n<S> 1", "end_word '</S>' is missing"),
      ("twice", b"<S>\n</S>\na\nb\na", "has 'a' twice, in lines 3 and 5"),
      ("twice_as_bytes", b"<S>\n</S>\na\nb'a'", "twice, in lines 3 and 4"),
      ("empty_line", b"<S>\n</S>\n\na", "Line 3 of .* has no word"),
      ("empty", b"", "is empty"),
      ("only_spaces", b" \n\r\n", "is empty"),
      ("only_byte_order_mark", b"\xef\xbb\xbf", "is empty"),
      ("no_utf8", b"<S>\n</S>\n\xff\xfe", "not a UTF-8 text: see line 3"),
  )
  def test_refuses(self, content, message):
    with self.assertRaisesRegex(ValueError, message):
      self._vocabulary(content)

  def test_refuses_what_is_no_file(self):
    for path in ("", "/no/words.txt", self.create_tempdir().full_path):
      with self.assertRaisesRegex(FileNotFoundError, "no vocabulary file"):
        vocabulary.Vocabulary(path)

  def test_reads_counts(self):
    path = self.create_tempfile(content="a 9\r\nb\nb'c'  5 x\n").full_path
    self.assertEqual(
        list(vocabulary.read_counts(path).items()),
        [("a", "9"), ("b", ""), ("c", "5 x")],
    )

  def test_says_what_it_does(self):
    with self.assertLogs("absl", "INFO") as logs:
      self._vocabulary(b"a 9\n<S> 5\n</S> 5")
    self.assertRegex(
        logs.output[0], "Initializing vocabulary from file: .*/words.txt"
    )
    self.assertIn("Created vocabulary with 4 words", logs.output[1])


if __name__ == "__main__":
  absltest.main()
