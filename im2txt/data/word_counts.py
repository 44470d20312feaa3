"""Counts the words in captions and writes the vocabulary."""

import collections
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses

from im2txt.runtime import atomic_files

_UNKNOWN_WORD = "<UNK>"


@dataclasses.dataclass(frozen=True)
class WordIds:
  """Word ids of a vocabulary.

  Words that are not in the vocabulary have the id of <UNK>. If <UNK> is not in
  the vocabulary either, its id is the next free one.

  Attributes:
    ids: The id of each word.
  """

  ids: dict[str, int]

  @classmethod
  def of_counts(cls, counts: Sequence[tuple[str, int]]) -> "WordIds":
    """Returns the ids of a vocabulary file that is written from `counts`."""
    return cls({word: i for i, (word, _) in enumerate(counts)})

  @property
  def size(self) -> int:
    """The number of ids, including the id of <UNK>."""
    return len(self.ids) + (_UNKNOWN_WORD not in self.ids)

  def of(self, words: Sequence[str]) -> list[int]:
    """Returns the ids of `words`."""
    unk_id = self.ids.get(_UNKNOWN_WORD, len(self.ids))
    return [self.ids.get(word, unk_id) for word in words]


def count_words(captions: Iterable[Sequence[str]]) -> list[tuple[str, int]]:
  """Counts words.

  Args:
    captions: The words of each caption.

  Returns:
    Words and their counts, by descending count. Words with equal counts are in
    the order of their first occurrence.
  """
  counts = collections.Counter(word for caption in captions for word in caption)
  return counts.most_common()


def write(path: str, counts: Sequence[tuple[str, int]]) -> None:
  """Writes a vocabulary file.

  Args:
    path: The file to write, with a word and its count per line and no newline
      at the end. The zero-based line number is the id of the word.
    counts: The words and their counts, in the order of their ids.
  """
  text = "\n".join(f"{word} {count}" for word, count in counts)
  with atomic_files.create(path) as file:
    file.write(text.encode())
