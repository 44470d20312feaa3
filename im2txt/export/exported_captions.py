"""Captions as tensors, and the vocabulary as a text file, for exports."""

import re
from typing import NamedTuple

import tensorflow as tf

from im2txt.inference_utils import vocabulary
from im2txt.ops import beam_search

# Words that `Vocabulary` would not read back unchanged from a line of a file.
_UNREADABLE_WORD = re.compile(r".*[ \t\r\n].*|b(['\"]).*\1", re.DOTALL)


# The log-probability of an empty beam slot: the lowest float16 number, as JSON
# has no infinity and constants of a model may be float16.
LOWEST = -65504.0


def words_text(vocab: vocabulary.Vocabulary) -> str:
  """Returns a text file of all words, in which line i (from 0) has word id i.

  Args:
    vocab: The vocabulary, including the unknown word.

  Returns:
    The text of the file.

  Raises:
    ValueError: If a word could not be read back unchanged.
  """
  for word in vocab.reverse_vocab:
    if _UNREADABLE_WORD.fullmatch(word):
      raise ValueError(
          f"The word {word!r} of the vocabulary can't be a line of a text file."
      )
  return "\n".join(vocab.reverse_vocab) + "\n"


class ExportedCaptions(NamedTuple):
  """The captions of a batch of images, the best first for each image.

  k is the beam size, w the maximum number of words without the start and end
  word. The rows of an image from `num_captions` on are empty.

  Attributes:
    word_ids: An int32 Tensor of shape [batch_size, k, w]; -1 after the last
      word.
    word_probabilities: A float32 Tensor of shape [batch_size, k, w]; the
      probability of each word given the previous ones, 0 after the last word.
    end_probabilities: A float32 Tensor of shape [batch_size, k]; the
      probability of the end word after the last word, 0 if the caption has no
      end word.
    log_probabilities: A float32 Tensor of shape [batch_size, k]; the natural
      log-probabilities of the captions, `LOWEST` in empty rows.
    probabilities: A float32 Tensor of shape [batch_size, k]; the probabilities
      of the captions, 0 in empty rows.
    num_captions: An int32 Tensor of shape [batch_size]; the number of captions
      of each image, at most k.
  """

  word_ids: tf.Tensor
  word_probabilities: tf.Tensor
  end_probabilities: tf.Tensor
  log_probabilities: tf.Tensor
  probabilities: tf.Tensor
  num_captions: tf.Tensor


def from_search(
    result: beam_search.BeamSearchResult, vocab: vocabulary.Vocabulary
) -> ExportedCaptions:
  """Converts the results of beam search, as `inference.captions` does.

  Args:
    result: The results of beam search.
    vocab: The vocabulary; word ids beyond it are replaced by the unknown word.

  Returns:
    The captions.
  """
  word_ids = result.word_ids[:, :, 1:]
  max_words = word_ids.shape[2]
  is_complete = tf.cast(result.is_complete, tf.int32)[:, tf.newaxis]
  is_used = tf.sequence_mask(tf.maximum(result.lengths - 1, 0), max_words)
  is_word = tf.sequence_mask(
      tf.maximum(result.lengths - 1 - is_complete, 0), max_words
  )
  is_known = word_ids < len(vocab.reverse_vocab)
  probabilities = tf.cast(tf.exp(result.word_log_probs[:, :, 1:]), tf.float32)
  is_end = tf.math.logical_and(is_used, tf.math.logical_not(is_word))
  return ExportedCaptions(
      word_ids=tf.where(
          is_word, tf.where(is_known, word_ids, vocab.unk_id), -1
      ),
      word_probabilities=tf.where(is_word, probabilities, 0.0),
      end_probabilities=tf.reduce_sum(tf.where(is_end, probabilities, 0.0), 2),
      log_probabilities=tf.maximum(
          tf.cast(result.log_probs, tf.float32), LOWEST
      ),
      probabilities=tf.cast(tf.exp(result.log_probs), tf.float32),
      num_captions=result.num_captions,
  )


def join_words(words: tf.Tensor) -> tf.Tensor:
  """Joins the words of each caption, separated by spaces.

  Args:
    words: A string Tensor of shape [batch_size, k, w]; empty strings after the
      last word of each caption.

  Returns:
    A string Tensor of shape [batch_size, k]; the captions.
  """
  follows = tf.range(tf.shape(words)[2]) > 0
  spaces = tf.where(tf.math.logical_and(follows, words != ""), " ", "")
  return tf.strings.reduce_join(spaces + words, axis=2)
