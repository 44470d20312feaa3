"""Tests of exported_captions."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.export import exported_captions
from im2txt.inference_utils import vocabulary
from im2txt.ops import beam_search
from im2txt.testing import tiny

# Words 0 to 3; <S> is 1, </S> is 2. After <S>: 0 or 3; after 0: the end or 3.
_TABLE = [[0, 0, 0.75, 0.25], [0.5, 0, 0, 0.5], [0, 0, 0, 0], [0, 0, 1, 0]]


def _search(*, dtype=tf.float64, max_caption_length=4, table=_TABLE):
  table = tf.constant(table, tf.float32)
  return beam_search.beam_search(
      lambda ids, state: (tf.gather(table, ids), state),
      tf.zeros([1, 1]),
      start_id=1,
      end_id=2,
      beam_size=2,
      max_caption_length=max_caption_length,
      dtype=dtype,
  )


class ExportedCaptionsTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.create_tempdir().full_path
    self.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(folder))

  @parameterized.product(dtype=(tf.float32, tf.float64), graph=(False, True))
  def test_complete_captions(self, dtype, graph):
    def compute():
      return exported_captions.from_search(_search(dtype=dtype), self.vocab)

    found = tf.function(compute, autograph=False)() if graph else compute()
    self.assertAllEqual(found.word_ids, [[[3, -1, -1], [0, -1, -1]]])
    self.assertAllClose(found.word_probabilities[0, :, 0], [0.5, 0.5])
    self.assertAllEqual(found.word_probabilities[..., 1:], np.zeros([1, 2, 2]))
    self.assertAllClose(found.end_probabilities, [[1.0, 0.75]])
    self.assertAllClose(found.probabilities, [[0.5, 0.375]])
    self.assertAllClose(found.log_probabilities, np.log([[0.5, 0.375]]))
    self.assertAllEqual(found.num_captions, [2])
    self.assertEqual(found.log_probabilities.dtype, tf.float32)

  def test_captions_without_end(self):
    found = exported_captions.from_search(
        _search(max_caption_length=2), self.vocab
    )
    self.assertAllEqual(found.word_ids, [[[0], [3]]])
    self.assertAllEqual(found.end_probabilities, [[0.0, 0.0]])
    self.assertAllClose(found.probabilities, [[0.5, 0.5]])

  def test_fewer_captions_than_the_beam(self):
    table = [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    found = exported_captions.from_search(_search(table=table), self.vocab)
    self.assertAllEqual(found.num_captions, [1])
    self.assertAllEqual(found.word_ids[0, :, 0], [0, -1])
    self.assertAllEqual(found.probabilities, [[1.0, 0.0]])
    self.assertAllEqual(found.log_probabilities, [[0.0, -65504.0]])

  def test_ids_beyond_the_vocabulary_are_the_unknown_word(self):
    result = _search()
    far = result._replace(word_ids=tf.where(result.word_ids == 3, 11, 0))
    found = exported_captions.from_search(far, self.vocab)
    self.assertEqual(found.word_ids[0, 0, 0], 10)

  @parameterized.parameters(False, True)
  def test_joins_words(self, graph):
    join = exported_captions.join_words
    if graph:
      join = tf.function(join, autograph=False)
    words = tf.constant([[["a", "red", "sea"], ["a", "", ""], ["", "", ""]]])
    self.assertAllEqual(join(words), [[b"a red sea", b"a", b""]])
    self.assertAllEqual(join(words[:0]), np.zeros([0, 3], object))
    self.assertAllEqual(join(words[..., :0]), [[b"", b"", b""]])


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
    text = exported_captions.words_text(vocabulary.Vocabulary(path))
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
    with self.assertRaisesRegex(ValueError, "can't be a line"):
      exported_captions.words_text(vocab)


if __name__ == "__main__":
  tf.test.main()
