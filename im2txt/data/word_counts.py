"""Makes a vocabulary of the words in captions."""

import collections
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses

from im2txt.runtime import atomic_files

_UNKNOWN_WORD = "<UNK>"


@dataclasses.dataclass(frozen=True)
class WordIds:
  """The ids of a vocabulary's words; all other words have that of <UNK>.

  If <UNK> isn't one of the words, its id is the next one.
  """

  ids: dict[str, int]

  @classmethod
  def of_counts(cls, counts: Sequence[tuple[str, int]]) -> "WordIds":
    """Returns the ids that a vocabulary file of `counts` gives."""
    return cls({word: i for i, (word, _) in enumerate(counts)})

  @property
  def size(self) -> int:
    """The number of ids, that of <UNK> included."""
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
    Each word and its count, by descending count. Words that occur equally often
    are in the order of their first occurrence.
  """
  counts = collections.Counter(word for caption in captions for word in caption)
  return counts.most_common()


def write(path: str, counts: Sequence[tuple[str, int]]) -> None:
  """Writes a vocabulary file.

  Args:
    path: The file: a word and its count on each line, no newline at the end.
      The number of a line, from 0, is the id of its word.
    counts: The words and counts, in the order of their ids.
  """
  text = "\n".join(f"{word} {count}" for word, count in counts)
  with atomic_files.create(path) as file:
    file.write(text.encode())
