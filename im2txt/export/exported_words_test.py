"""Tests of exported_words."""

from absl.testing import parameterized
import tensorflow as tf

from im2txt.export import exported_words
from im2txt.inference_utils import vocabulary


class ExportedWordsTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("counts", "a 9\n<S> 8\n</S> 8\ncafé 2\n", "a\n<S>\n</S>\ncafé\n<UNK>\n"),
      (
          "bytes_literals",
          "b'a' 9\nb'<S>' 8\nb'</S>' 8\nb'caf\\xc3\\xa9' 2",
          "a\n<S>\n</S>\ncafé\n<UNK>\n",
      ),
      ("own_unknown_word", "<UNK>\r\n<S>\r\n</S>\r\n", "<UNK>\n<S>\n</S>\n"),
  )
  def test_a_line_a_word(self, content, expected):
    path = self.create_tempfile("words", content.encode()).full_path
    text = exported_words.text(vocabulary.Vocabulary(path))
    self.assertEqual(text, expected)
    again = self.create_tempfile("again", text.encode()).full_path
    self.assertEqual(
        vocabulary.Vocabulary(again).reverse_vocab,
        vocabulary.Vocabulary(path).reverse_vocab,
    )

  @parameterized.parameters(r"b'a\nb'", r"b'a\x20b'", "b\"b'x'\"")
  def test_a_word_that_is_no_line(self, word):
    content = f"<S>\n</S>\n{word}\n"
    path = self.create_tempfile("words", content.encode()).full_path
    vocab = vocabulary.Vocabulary(path)
    with self.assertRaisesRegex(ValueError, "can't stand alone"):
      exported_words.text(vocab)


if __name__ == "__main__":
  tf.test.main()
