"""Splits captions into words: as NLTK does, at spaces, or into characters.

NLTK's `word_tokenize` splits a text into sentences with Punkt, and each
sentence with NLTK's version of the Penn Treebank rules, which separate a full
stop only at the end of a sentence. Here Punkt is used without the data that
`nltk.download` fetches, with these differences:

- The data contain 156 abbreviations that Punkt learned from newspapers. Here
  only the common ones are known, and all that are in the public MSCOCO
  vocabulary ("st.", "u.s.", "ave.", "dr.", "mr.", "mrs.", "d.c."). After any
  other abbreviation inside a caption, the full stop becomes a word: "n.j.
  plates" is split into "n.j", ".", "plates".
- The data contain words that begin a sentence in lower case after an initial or
  a number. Here there are none: "at 5. the" keeps "5.".

NLTK handles ASCII punctuation. After it, marks of other alphabets are separated
as well, such as a danda, an ideographic full stop or an Arabic question mark.

Today's NLTK splits "field.." into "field" and "..", unlike the NLTK of 2016.
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

# Punctuation, quotation marks and brackets of all alphabets except ASCII, which
# NLTK handles. Without Armenian marks above letters, which are letters by
# Unicode's word rules, and the Tibetan tsheg between the syllables of a word.
_MARK = (
    r"[\p{Po}\p{Pi}\p{Pf}\p{Ps}\p{Pe}"
    r"--[\x00-\x7f]--\p{WB=ALetter}--[\u0f0b\u0f0c]]"
)
# Marks within words, as in l·l and 1٫5, are kept: see Unicode's annex 29, rules
# WB6 to WB12.
_MARKS = regex.compile(
    r"(?P<within>(?<=[\p{L}\p{M}])[\p{WB=MidLetter}\p{WB=MidNumLet}](?=\p{L})"
    r"|(?<=\p{N})[\p{WB=MidNum}\p{WB=MidNumLet}\p{WB=Numeric}](?=\p{N}))"
    rf"|{_MARK}",
    regex.VERSION1,
)

# Letters, digits and at most a full stop at the end, as in 90% of captions.
# NLTK splits these at the spaces and the full stop, in 50 times the time. It
# also splits contractions.
_PLAIN = re.compile(r"([a-z0-9 ]*)(\.?)\s*")
# The zero-width joiner, which joins several characters to one, as in emoji.
_JOINER = "\u200d"

_CONTRACTION = re.compile(r"\b(?:cannot|gimme|gonna|gotta|lemme|wanna)\b")


def tokenize(caption: str) -> list[str]:
  """Returns the words and punctuation marks of a caption in lower case."""
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
  """Puts spaces around punctuation marks outside ASCII.

  Args:
    text: A text in any alphabet.

  Returns:
    The text with spaces around sentence marks, quotation marks and brackets,
    except around those within words or numbers.
  """
  if text.isascii():
    return text
  return _MARKS.sub(lambda m: m[0] if m["within"] else f" {m[0]} ", text)


def split_at_spaces(caption: str) -> list[str]:
  """Returns the words of a caption that is already tokenized."""
  return _interned(caption.split())


def split_characters(caption: str) -> list[str]:
  """Returns the characters of a caption as words, for scripts without spaces.

  Args:
    caption: A text, for example in Chinese or Thai.

  Returns:
    The characters, each with its combining marks, such as vowel signs. Spaces
    are left out.
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
  """Splits a lower-case text with NLTK."""
  split_sentences, split_words = _nltk_splitters()
  return [
      word
      for sentence in split_sentences(text)
      for word in split_words(sentence)
  ]


def _belongs_to_the_last(character: str, last: str) -> bool:
  """Returns whether a code point belongs to the previous character."""
  return (
      unicodedata.category(character).startswith("M")
      or character == _JOINER
      or last.endswith(_JOINER)
  )


def _interned(words: Iterable[str]) -> list[str]:
  """Interns the words, since a data set has few different ones."""
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
