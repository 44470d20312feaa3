"""Captions as tensors, and words as lines of text, for exported models."""

import re
from typing import NamedTuple

import tensorflow as tf

from im2txt.inference_utils import vocabulary
from im2txt.ops import beam_search

# What `Vocabulary` would read as something else.
_NO_LINE = re.compile(r".*[ \t\r\n].*|b(['\"]).*\1", re.DOTALL)


# The log-probability of an empty beam slot. JSON has no infinity, and in a
# model with float16 constants this is the lowest number.
LOWEST = -65504.0


def words_text(vocab: vocabulary.Vocabulary) -> str:
  """Returns the text of a file whose line i, from 0, is the word of id i.

  Args:
    vocab: The vocabulary. The unknown word is among its words.

  Returns:
    The lines.

  Raises:
    ValueError: If a word would not be read as it is.
  """
  for word in vocab.reverse_vocab:
    if _NO_LINE.fullmatch(word):
      raise ValueError(
          f"The vocabulary has the word {word!r}, which can't stand alone on a"
          " line."
      )
  return "\n".join(vocab.reverse_vocab) + "\n"


class ExportedCaptions(NamedTuple):
  """The captions of a batch of images, each image's best first.

  With k the beam size and w the most words, start and end word not counted.
  Rows of an image from `num_captions` on hold no caption.

  Attributes:
    word_ids: An int32 Tensor of shape [batch_size, k, w]; -1 after the last
      word.
    word_probabilities: A float32 Tensor of that shape; the probability of each
      word, given those before it, and 0 after the last one.
    end_probabilities: A float32 Tensor of shape [batch_size, k]; that of the
      end word after the words, 0 if the caption did not come to it.
    log_probabilities: A float32 Tensor of shape [batch_size, k]; the captions'
      natural log-probabilities, `LOWEST` where there is no caption.
    probabilities: A float32 Tensor of shape [batch_size, k].
    num_captions: An int32 Tensor of shape [batch_size]; at most k.
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
  """Makes of what the search found what is exported, as `captions` does.

  Args:
    result: What the search found.
    vocab: The vocabulary; ids beyond it become the unknown word's.

  Returns:
    The captions.
  """
  word_ids = result.word_ids[:, :, 1:]
  most_words = word_ids.shape[2]
  is_complete = tf.cast(result.is_complete, tf.int32)[:, tf.newaxis]
  is_said = tf.sequence_mask(tf.maximum(result.lengths - 1, 0), most_words)
  is_word = tf.sequence_mask(
      tf.maximum(result.lengths - 1 - is_complete, 0), most_words
  )
  is_known = word_ids < len(vocab.reverse_vocab)
  probabilities = tf.cast(tf.exp(result.word_log_probs[:, :, 1:]), tf.float32)
  is_end = tf.math.logical_and(is_said, tf.math.logical_not(is_word))
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
  """Returns captions as one string each, words separated by spaces.

  Args:
    words: A string Tensor of shape [batch_size, k, w]; after the last word of
      each caption, empty strings.

  Returns:
    A string Tensor of shape [batch_size, k].
  """
  follows = tf.range(tf.shape(words)[2]) > 0
  spaces = tf.where(tf.math.logical_and(follows, words != ""), " ", "")
  return tf.strings.reduce_join(spaces + words, axis=2)
