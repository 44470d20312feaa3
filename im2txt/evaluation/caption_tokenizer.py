"""Tokenizes captions for the metrics.

The COCO tools use Stanford's PTBTokenizer, a Java program, and then remove
punctuation. Without Java, a tokenizer in Python is used instead:

- Text is lower-cased; "don't", "dog's", "cannot" become "do n't", "dog 's",
  "can not".
- The marks . ? ! , : ; - -- ... and quotation marks are removed, brackets
  become the words -lrb-, -rrb-, -lsb-, ..., any other mark is a word.
- Marks of other scripts are words, with PTB too; see `data.tokenizer`.
- Words keep hyphens, apostrophes and vowel signs, numbers keep commas and
  periods, initials ("u.s.") and some abbreviations ("mr.") keep periods.

The words are equal to PTB's for all of 500 captions of 100 MSCOCO images and of
17,500 captions of Flickr8k (three of which served to develop the rules). They
differ for smileys, web addresses, currencies and fractions.
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
# In seconds. PTB starts in less than one; 60,000 captions take five.
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
# Punctuation of English and related languages, for which PTB has rules.
_KNOWN_MARKS = re.compile("([‘’‚‛“”„«»‹›…])")
_CONTRACTION = re.compile(r"(?<=\w)(n't|'(?:s|m|d|ll|re|ve))(?!\w)")
# Combining characters such as vowel signs, which `\w` does not match.
_MARKS = "".join(
    mark
    for mark in map(chr, range(0x10000))
    if unicodedata.category(mark).startswith("M")
)
_TOKEN = re.compile(
    rf"""
    -[lr][rsc]b-                           # A bracket, if already tokenized.
    | (?:[a-z]\.)+[a-z]\.                  # Initials.
    | (?:{"|".join(_ABBREVIATIONS.split())})\.(?!\w)
    | [a-z]\.(?=\s+\w) | no\.(?=\s+\d)    # "plan b. is", "no. 1".
    | \d+(?:[.,:/-]\d+)+                   # Numbers, times, dates.
    | n't(?!\w) | '(?:s|m|d|ll|re|ve)(?!\w) | (?<!\w)'n(?!\w)'?
    | [\w{_MARKS}]+(?:[-'/.@][\w{_MARKS}]+)*
    | \.\.+ | --+ | [?!]+
    | [^\s\U00010000-\U0010ffff]           # No emoji, like PTB.
    """,
    re.VERBOSE,
)


class Tokenized(NamedTuple):
  """Tokenized captions.

  Attributes:
    captions: The words of each caption, separated by single spaces.
    tokenizer: The tokenizer used, "ptb" or "python".
    note: The reason why "auto" used "python"; otherwise empty.
  """

  captions: list[str]
  tokenizer: str
  note: str = ""


def check(tokenizer: str) -> None:
  """Checks that `tokenize` will accept a tokenizer.

  Args:
    tokenizer: One of `TOKENIZERS`.

  Raises:
    coco_metrics.JavaError: If the tokenizer is "ptb" and Java is missing.
    ValueError: If the tokenizer is unknown.
  """
  if tokenizer not in TOKENIZERS:
    raise ValueError(
        f"The tokenizer must be one of {', '.join(TOKENIZERS)}. Got:"
        f" {tokenizer!r}."
    )
  if tokenizer == "ptb":
    coco_metrics.find_java()


def tokenize(captions: Sequence[str], tokenizer: str = "auto") -> Tokenized:
  """Tokenizes captions.

  Args:
    captions: All captions to compare, references and candidates, because a
      comparison needs a single tokenizer.
    tokenizer: "ptb", "python", or "auto", which uses PTB if Java can run it.

  Returns:
    The tokenized captions in the same order.

  Raises:
    coco_metrics.JavaError: If the tokenizer is "ptb" and Java cannot run it.
    ValueError: If the tokenizer is unknown.
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
          "The captions were tokenized in Python, which differs from the COCO"
          f" tools for a few captions. {error}"
      )
  return Tokenized(list(map(by_python, captions)), "python", note)


def by_python(caption: str) -> str:
  """Tokenizes a caption by the rules of the module docstring.

  Args:
    caption: A caption, tokenized or not.

  Returns:
    The words, separated by single spaces.
  """
  text = caption.lower().translate(_QUOTES).replace("…", "...")
  text = _CONTRACTION.sub(r" \1", text)
  words = (_BRACKETS.get(word, word) for word in _TOKEN.findall(text))
  return _without_punctuation(
      [_TWO_WORDS.get(word, word) for word in words if word.strip('."-')]
  )


def _separate_marks(caption: str) -> str:
  """Separates marks by the rules of `data.tokenizer`, except for known ones."""
  parts = _KNOWN_MARKS.split(caption)
  parts[::2] = map(data_tokenizer.separate_marks, parts[::2])
  return "".join(parts)


def _by_ptb(captions: Sequence[str]) -> list[str]:
  # Replaces the line separators that Java recognizes by spaces.
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
    output = process.communicate(text)[0].split("\n")[:-1]
    if process.returncode or len(output) != len(lines):
      raise ValueError(
          f"it tokenized {len(output)} of {len(lines)} captions, exit status"
          f" {process.returncode}"
      )
  return [_without_punctuation(line.split()) for line in output]


def _without_punctuation(words: Sequence[str]) -> str:
  return " ".join(word for word in words if word not in _PUNCTUATION)
