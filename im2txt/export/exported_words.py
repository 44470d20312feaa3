"""The words of an exported model, one a line, without counts."""

import re

from im2txt.inference_utils import vocabulary

# What `Vocabulary` would read as something else.
_NO_LINE = re.compile(r".*[ \t\r\n].*|b(['\"]).*\1", re.DOTALL)


def text(vocab: vocabulary.Vocabulary) -> str:
  """The content of a file whose line i, counted from 0, is the word of id i.

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
