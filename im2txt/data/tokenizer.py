"""Splits captions into words: as NLTK does, at spaces, or into characters.

NLTK's `word_tokenize` goes by sentences, which Punkt finds, and by NLTK's form
of the Penn Treebank rules, which part a full stop from the last word of a text
only. Here Punkt does without the data that `nltk.download` fetches, which makes
these differences:

- The data has 156 abbreviations that Punkt found in newspapers. Here are the
  common ones, and all that the public MSCOCO vocabulary holds ("st.", "u.s.",
  "ave.", "dr.", "mr.", "mrs.", "d.c."). A stop after any other inside a caption
  becomes a word: "n.j. plates" is "n.j", ".", "plates".
- The data knows words that begin sentences in lower case after an initial or a
  number. Here no word does: "at 5. the" keeps "5.".

NLTK knows English marks. Of other alphabets', each sentence mark becomes a word
here after NLTK is done: a danda, an ideographic full stop, an Arabic question
mark.

Apart from that: today's NLTK splits "field.." into "field" and "..", the NLTK
of 2016 did not.
"""

from collections.abc import Callable
from collections.abc import Iterable
import functools
import re
import sys
import unicodedata

import regex

_Splitter = Callable[[str], list[str]]

_ABBREVIATIONS = (
    "a.m ave bros co corp d.c dr ft gen inc jr l.a lt ltd mr mrs ms n.y p.m"
    " ph.d prof sen sr st u.k u.n u.s u.s.a vs"
)

# Marks of all alphabets but ASCII's, which NLTK knows: punctuation, quotation
# marks and brackets. Those of Armenian that stand over a letter are letters to
# Unicode's rules for words; a Tibetan tsheg is between the syllables of a word.
_MARK = (
    r"[\p{Po}\p{Pi}\p{Pf}\p{Ps}\p{Pe}"
    r"--[\x00-\x7f]--\p{WB=ALetter}--[\u0f0b\u0f0c]]"
)
# Not within words, as in l·l and 1٫5: Unicode's annex 29, rules WB6 to WB12.
_MARKS = regex.compile(
    r"(?P<within>(?<=[\p{L}\p{M}])[\p{WB=MidLetter}\p{WB=MidNumLet}](?=\p{L})"
    r"|(?<=\p{N})[\p{WB=MidNum}\p{WB=MidNumLet}\p{WB=Numeric}](?=\p{N}))"
    rf"|{_MARK}",
    regex.VERSION1,
)

# Letters, digits and at most a full stop at the end: nine captions of ten. NLTK
# parts these at the spaces and the stop, but takes 50 times longer; it would
# also part the contractions.
_PLAIN = re.compile(r"([a-z0-9 ]*)(\.?)\s*")
# Joins several characters to one sign, as in emoji.
_JOINER = "\u200d"

_CONTRACTION = re.compile(r"\b(?:cannot|gimme|gonna|gotta|lemme|wanna)\b")


def tokenize(caption: str) -> list[str]:
  """Returns the words of a caption in lower case, marks being words too."""
  text = caption.lower()
  plain = _PLAIN.fullmatch(text)
  if plain and not _CONTRACTION.search(text):
    words = [*plain[1].split(), *plain[2]]
  else:
    words = [
        part
        for word in nltk_words(text)
        for part in separate_marks(word).split()
    ]
  return _interned(words)


def separate_marks(text: str) -> str:
  """Puts spaces around the punctuation marks of all alphabets but ASCII's.

  Args:
    text: A text in any alphabet.

  Returns:
    The text, in which each sentence mark, quotation mark and bracket that does
    not join letters or digits stands alone.
  """
  if text.isascii():
    return text
  return _MARKS.sub(lambda m: m[0] if m["within"] else f" {m[0]} ", text)


def split_at_spaces(caption: str) -> list[str]:
  """Returns the words of a caption that is tokenized already."""
  return _interned(caption.split())


def split_characters(caption: str) -> list[str]:
  """Returns the characters of a caption as words, for scripts without spaces.

  Args:
    caption: A text, as in Chinese or Thai.

  Returns:
    Its characters, each with the marks, such as vowel signs, that belong to it.
    Spaces are left out.
  """
  characters: list[str] = []
  for word in caption.split():
    for i, character in enumerate(word):
      if i and _belongs_to_the_last(character, characters[-1]):
        characters[-1] += character
      else:
        characters.append(character)
  return _interned(characters)


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {
    "nltk": tokenize,
    "whitespace": split_at_spaces,
    "characters": split_characters,
}


def nltk_words(text: str) -> list[str]:
  """Returns the words of a lower-case text, by NLTK."""
  split_sentences, split_words = _nltk_splitters()
  return [
      word
      for sentence in split_sentences(text)
      for word in split_words(sentence)
  ]


def _belongs_to_the_last(character: str, last: str) -> bool:
  """Returns whether a code point is a part of the character before it."""
  return (
      unicodedata.category(character).startswith("M")
      or character == _JOINER
      or last.endswith(_JOINER)
  )


def _interned(words: Iterable[str]) -> list[str]:
  """Returns the words, interned: a data set has few different ones."""
  return [sys.intern(word) for word in words]


@functools.cache
def _nltk_splitters() -> tuple[_Splitter, _Splitter]:
  # Imported here, because only captions with punctuation marks inside need it.
  from nltk.tokenize import destructive
  from nltk.tokenize import punkt

  parameters = punkt.PunktParameters()
  parameters.abbrev_types.update(_ABBREVIATIONS.split())
  return (
      punkt.PunktSentenceTokenizer(parameters).tokenize,
      destructive.NLTKWordTokenizer().tokenize,
  )
