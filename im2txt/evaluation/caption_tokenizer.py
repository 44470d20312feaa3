"""Splits captions into the words that the metrics count.

The COCO tools use Stanford's PTBTokenizer, a program of Java, and then leave
out punctuation marks. Without Java, rules of Python stand in:

- lower case; "don't", "dog's", "cannot" are "do n't", "dog 's", "can not";
- the marks . ? ! , : ; - -- ... and quotation marks are left out, brackets
  become the words -lrb-, -rrb-, -lsb-, ..., any other mark is a word;
- marks of other alphabets are words, with PTB too: see `data.tokenizer`;
- words keep their hyphens, apostrophes and vowel signs, numbers their commas
  and stops, initials ("u.s.") and some abbreviations ("mr.") their stops.

The rules give other words than PTB for none of 500 captions of 100 MSCOCO
photographs, and none of 17,500 of Flickr8k, of which they were made with three
at hand; but they do for smileys, web addresses, currencies and fractions.
"""

from collections.abc import Sequence
from pathlib import Path
import re
from typing import NamedTuple
import unicodedata

from pycocoevalcap.tokenizer import ptbtokenizer

from im2txt.data import tokenizer as data_tokenizer
from im2txt.evaluation import coco_metrics

TOKENIZERS = ("auto", "ptb", "python")

_PUNCTUATION = frozenset(ptbtokenizer.PUNCTUATIONS)
_JAR = Path(ptbtokenizer.__file__).with_name(
    ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR
)
# It takes less than a second, and 60,000 captions take five.
_TIMEOUT = 120.0
_TIMEOUT_PER_CAPTION = 0.01

_ABBREVIATIONS = (
    "adm ave blvd bros capt co col corp dr etc ft gen gov inc jr lt ltd mr mrs"
    " ms mt ph.d prof rd rep rev sen sgt sr st vs"
)
_TWO_WORDS = {
    "cannot": "can not",
    "gimme": "gim me",
    "gonna": "gon na",
    "gotta": "got ta",
    "lemme": "lem me",
    "wanna": "wan na",
}
_BRACKETS = {
    "(": "-lrb-",
    ")": "-rrb-",
    "[": "-lsb-",
    "]": "-rsb-",
    "{": "-lcb-",
    "}": "-rcb-",
}
_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "`": "'"})
# Of English and its neighbours; PTB has rules for them.
_KNOWN_MARKS = re.compile("([‘’‚‛“”„«»‹›…])")
_CONTRACTION = re.compile(r"(?<=\w)(n't|'(?:s|m|d|ll|re|ve))(?!\w)")
# Vowel signs and the like, which `\w` leaves out.
_MARKS = "".join(
    mark
    for mark in map(chr, range(0x10000))
    if unicodedata.category(mark).startswith("M")
)
_TOKEN = re.compile(
    rf"""
    -[lr][rsc]b-                           # A bracket, if tokenised already.
    | (?:[a-z]\.)+[a-z]\.                  # Initials.
    | (?:{"|".join(_ABBREVIATIONS.split())})\.(?!\w)
    | [a-z]\.(?=\s+\w) | no\.(?=\s+\d)    # "plan b. is", "no. 1".
    | \d+(?:[.,:/-]\d+)+                   # Numbers, times, dates.
    | n't(?!\w) | '(?:s|m|d|ll|re|ve)(?!\w) | (?<!\w)'n(?!\w)'?
    | [\w{_MARKS}]+(?:[-'/.@][\w{_MARKS}]+)*
    | \.\.+ | --+ | [?!]+
    | [^\s\U00010000-\U0010ffff]           # PTB drops emoji.
    """,
    re.VERBOSE,
)


class Tokenized(NamedTuple):
  """Captions as the metrics take them.

  Attributes:
    captions: The words of each, separated by one space.
    tokenizer: "ptb" or "python", whichever split them.
    note: Why it is "python" although "auto" was asked for; else empty.
  """

  captions: list[str]
  tokenizer: str
  note: str = ""


def check(tokenizer: str) -> None:
  """Finds what `tokenize` would find wrong with a tokenizer.

  Args:
    tokenizer: As of `tokenize`.

  Raises:
    coco_metrics.JavaError: If the tokenizer is "ptb" and there is no Java.
    ValueError: If there is no such tokenizer.
  """
  if tokenizer not in TOKENIZERS:
    raise ValueError(
        f"A tokenizer is one of {', '.join(TOKENIZERS)}. Got: {tokenizer!r}."
    )
  if tokenizer == "ptb":
    coco_metrics.find_java()


def tokenize(captions: Sequence[str], tokenizer: str = "auto") -> Tokenized:
  """Splits captions into words.

  Args:
    captions: What people or models say. To be compared, captions need the same
      tokenizer, so give all of them at once.
    tokenizer: "ptb", "python", or "auto" for PTB if Java can run it.

  Returns:
    The captions in the same order.

  Raises:
    coco_metrics.JavaError: If the tokenizer is "ptb" and Java cannot run it.
    ValueError: If there is no such tokenizer.
  """
  check(tokenizer)
  note = ""
  captions = list(map(_separate_marks, captions))
  if tokenizer != "python":
    try:
      return Tokenized(_by_ptb(captions), "ptb")
    except coco_metrics.JavaError as error:
      if tokenizer == "ptb":
        raise
      note = (
          "The captions were split into words by rules of Python, which give"
          f" other words than the COCO tools' for a few captions. {error}"
      )
  return Tokenized(list(map(by_python, captions)), "python", note)


def by_python(caption: str) -> str:
  """The words of a caption by the rules above.

  Args:
    caption: What a person or a model says; it may be split already.

  Returns:
    The words, separated by one space.
  """
  text = caption.lower().translate(_QUOTES).replace("…", "...")
  text = _CONTRACTION.sub(r" \1", text)
  words = (_BRACKETS.get(word, word) for word in _TOKEN.findall(text))
  return _without_punctuation(
      [_TWO_WORDS.get(word, word) for word in words if word.strip('."-')]
  )


def _separate_marks(caption: str) -> str:
  """Separates marks as the words of data are, but those that both know."""
  parts = _KNOWN_MARKS.split(caption)
  parts[::2] = map(data_tokenizer.separate_marks, parts[::2])
  return "".join(parts)


def _by_ptb(captions: Sequence[str]) -> list[str]:
  # What Java takes for the end of a line is no more than a space here.
  lines = [" ".join(caption.split()) for caption in captions]
  with coco_metrics.run_java(
      "-cp",
      str(_JAR),
      "edu.stanford.nlp.process.PTBTokenizer",
      "-preserveLines",
      "-lowerCase",
      "-encoding",
      "UTF-8",
      timeout=_TIMEOUT + _TIMEOUT_PER_CAPTION * len(lines),
  ) as process:
    text = "".join(f"{line}\n" for line in lines)
    found = process.communicate(text)[0].split("\n")[:-1]
    if process.returncode or len(found) != len(lines):
      raise ValueError(
          f"it split {len(found)} captions of {len(lines)} and ended in status"
          f" {process.returncode}."
      )
  return [_without_punctuation(line.split()) for line in found]


def _without_punctuation(words: Sequence[str]) -> str:
  return " ".join(word for word in words if word not in _PUNCTUATION)
