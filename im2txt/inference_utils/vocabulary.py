"""The vocabulary of a model, read from a `word_counts.txt`.

The first word of each line has the number of the line, from 0, as its id:

    a 969108
    <S> 586368
    </S> 586368

The count may be missing. The word may be a bytes literal, b'word', as builders
for Python 2 write it when they run under Python 3.
"""

import ast
from collections.abc import Mapping
from collections.abc import Sequence
import re

from absl import logging
import tensorflow as tf

from im2txt.runtime import failed_downloads
from im2txt.runtime import home_folder

# Fewer words may be in alphabetical order by coincidence.
_MIN_WORDS_OF_AN_ORDER = 5
_MAX_EXTENSIONS = 3
_BYTES_LITERAL = re.compile(r"b'(?:[^'\\]|\\.)*'|b\"(?:[^\"\\]|\\.)*\"")


class Vocabulary:
  """Maps words to ids and back.

  Attributes:
    vocab_file: The path of the vocabulary file.
    vocab: A dict from words to ids.
    reverse_vocab: A list of words, by id.
    counts: A list of the counts of the words in the file, by id; 0 where the
      file has no count.
    start_id: Id of the word that begins each caption.
    end_id: Id of the word that ends each caption.
    unk_id: Id of the word that stands for all words outside of the vocabulary.
  """

  def __init__(
      self,
      vocab_file: str,
      start_word: str = "<S>",
      end_word: str = "</S>",
      unk_word: str = "<UNK>",
  ):
    """Reads a vocabulary.

    Args:
      vocab_file: Path of a UTF-8 text file with one word per line; a `~` at its
        start is the home folder.
      start_word: The word that begins each caption; must be in the file.
      end_word: The word that ends each caption; must be in the file.
      unk_word: The word that stands for all others. If it is not in the file,
        its id follows the last one.

    Raises:
      FileNotFoundError: If the file does not exist.
      ValueError: If the file is not a vocabulary, has a word twice, or is
        missing the start word or the end word.
    """
    vocab_file = home_folder.expand(vocab_file)
    logging.info("Initializing vocabulary from file: %s", vocab_file)
    self.vocab_file = vocab_file
    counts = read_counts(vocab_file)
    words = list(counts)
    self.vocab = {word: word_id for word_id, word in enumerate(words)}
    self.reverse_vocab = words
    self.counts = [int(n) if n.isdecimal() else 0 for n in counts.values()]
    for argument, word in (("start_word", start_word), ("end_word", end_word)):
      if word not in self.vocab:
        raise ValueError(
            f"The {argument} {word!r} is missing from the vocabulary"
            f" {vocab_file}. Use the word_counts.txt that was written with the"
            f" model's records; if they were built with another --{argument},"
            " pass that to Vocabulary."
        )
    if unk_word not in self.vocab:
      self.vocab[unk_word] = len(self.reverse_vocab)
      self.reverse_vocab.append(unk_word)
    self.start_id = self.vocab[start_word]
    self.end_id = self.vocab[end_word]
    self.unk_id = self.vocab[unk_word]
    if disorder := _describe_disorder(counts, (start_word, end_word)):
      logging.warning(
          "The vocabulary %s %s, so it may have been sorted. A word's id is the"
          " number of its line: if captions make no sense, use the"
          " word_counts.txt as it was written with the model's records.",
          vocab_file,
          disorder,
      )
    logging.info("Created vocabulary with %d words", len(self.vocab))

  def word_to_id(self, word: str) -> int:
    """Returns the id of a word, or of the unknown word if it is missing."""
    return self.vocab.get(word, self.unk_id)

  def id_to_word(self, word_id: int) -> str:
    """Returns the word of an id, or the unknown word if it is too large."""
    if word_id >= len(self.reverse_vocab):
      return self.reverse_vocab[self.unk_id]
    return self.reverse_vocab[word_id]

  def check_fits(self, vocab_size: int) -> None:
    """Raises a ValueError if a model's vocabulary is smaller than this one."""
    num_words = len(self.reverse_vocab)
    if num_words > vocab_size:
      raise ValueError(
          f"The vocabulary {self.vocab_file} has {num_words} words, the unknown"
          f" word included, but the model has vocab_size={vocab_size}. Use the"
          " vocabulary that the model was trained with."
      )


def read_counts(vocab_file: str) -> dict[str, str]:
  """Reads the words of a vocabulary file with their counts.

  Args:
    vocab_file: Path of a UTF-8 text file with one word per line.

  Returns:
    The text after each word on its line, by word, in the order of the ids; ""
    where the file has no count.

  Raises:
    FileNotFoundError: If the file does not exist.
    ValueError: If the file is not a vocabulary, or has a word twice.
  """
  lines = _read_lines(vocab_file)
  counts: dict[str, str] = {}
  for number, line in enumerate(lines, start=1):
    # A word in a file from Python 2 may contain spaces that are not ASCII.
    fields = re.findall(r"[^ \t\r]+", line)
    if not fields:
      raise ValueError(
          f"Line {number} of the vocabulary {vocab_file} has no word, but every"
          " line is a word's id."
      )
    word = without_bytes_literal(fields[0])
    if word in counts:
      raise ValueError(
          f"The vocabulary {vocab_file} has {word!r} twice, in lines"
          f" {list(counts).index(word) + 1} and {number}."
      )
    counts[word] = " ".join(fields[1:])
  return counts


def _describe_disorder(
    counts: Mapping[str, str], special_words: Sequence[str]
) -> str | None:
  """Describes why the order of a vocabulary is implausible.

  A builder writes the most frequent words first. `extend_vocabulary` adds words
  at the end, where the counts may rise once per extension.

  Args:
    counts: The result of `read_counts`.
    special_words: The start word and the end word, which are in every caption.

  Returns:
    A clause whose subject is the vocabulary; None if its order is plausible.
  """
  words = list(counts)
  keys = [word.casefold() for word in words]
  letters = [re.sub(r"\W", "", key) for key in keys]  # As most locales sort.
  if len(words) >= _MIN_WORDS_OF_AN_ORDER and any(
      order in (sorted(order), sorted(order, reverse=True))
      for order in (words, keys, letters)
  ):
    return "has its words in alphabetical order"
  if not all(count.isdecimal() for count in counts.values()):
    return None
  numbers = [int(count) for count in counts.values()]
  rises = [i for i in range(1, len(numbers)) if numbers[i] > numbers[i - 1]]
  if rises and (
      len(rises) > _MAX_EXTENSIONS
      or any(words.index(word) >= rises[0] for word in special_words)
  ):
    return f"has counts that rise from line {rises[0]} to the next"
  return None


def without_bytes_literal(word: str) -> str:
  """Returns `word` for the text b'word', and other text unchanged."""
  if not _BYTES_LITERAL.fullmatch(word):
    return word
  try:
    return ast.literal_eval(word).decode()
  except (SyntaxError, UnicodeDecodeError):
    return word


def _read_lines(vocab_file: str) -> list[str]:
  if not tf.io.gfile.exists(vocab_file) or tf.io.gfile.isdir(vocab_file):
    raise FileNotFoundError(
        f"There is no vocabulary file {vocab_file!r}. Use the word_counts.txt"
        " that was written with the records of the model."
    )
  if what := failed_downloads.describe(vocab_file):
    raise ValueError(f"The vocabulary {vocab_file} {what}.")
  with tf.io.gfile.GFile(vocab_file, "rb") as file:
    content = file.read()
  try:
    text = content.decode("utf-8-sig")
  except UnicodeDecodeError as error:
    line = content.count(b"\n", 0, error.start) + 1
    raise ValueError(
        f"The vocabulary {vocab_file} is not a UTF-8 text: see line {line}."
    ) from None
  lines = text.rstrip(" \t\r\n").split("\n")
  if lines == [""]:
    raise ValueError(f"The vocabulary {vocab_file} is empty.")
  return lines
