"""Adds words to the vocabulary of a model, which knows the old ones as before.

    old ids     0 ... n-1 the words    n <UNK>    unused, up to vocab_size
    new ids     0 ... n-1 the same     n ... the new words    <UNK>    unused

The unknown word has no line in the vocabulary file: its id follows the last
one, so it moves, and its values move along. What the configuration's vocab_size
leaves unused is used first; the model grows only beyond it.

A new word starts as the average of the old ones: the mean row of the embedding,
plus a little noise that tells the new words apart, and the mean column of the
logits. Its logit would be the mean of the old words' then, and its probability
at most one in n whatever the image (J. Hewitt, "Initializing New Word
Embeddings for Pretrained Language Models", 2021), far less where the model is
sure. The logarithm of the number of new words is subtracted from their biases,
so that this holds for all of them together. The logits of the old words are as
they were, to the last bit.
"""

from collections.abc import Mapping
import dataclasses
import os
import re
from typing import NamedTuple

import numpy as np

from im2txt.checkpointing import checkpoint_conversion
from im2txt.inference_utils import vocabulary
from im2txt.ops import weight_averages

VOCAB_FILE = "word_counts.txt"

_BIASES = "logits/biases"
_EMBEDDING = "seq_embedding/map"
# The variables that have values for each word, and along which axis.
_WORD_AXES = {_EMBEDDING: 0, "logits/weights": 1, _BIASES: 0}
# The variable that a name in a checkpoint is of, and what follows it. Slots may
# have an objective's name before it.
_OF_WORDS = re.compile(rf"(?:.+/)?({'|'.join(_WORD_AXES)})(|/[^/]+)")
# What the names of weights and of their averages end with.
_VALUES = ("", weight_averages.SUFFIX)
# Of the standard deviation of the old words' embeddings.
_NOISE = 0.01
_SEED = 1


class Extension(NamedTuple):
  """What was done.

  Attributes:
    checkpoint: The new checkpoint's path, without suffix.
    vocab_file: The new vocabulary.
    new_words: The words that were added.
    old_size: The old model's vocab_size.
    new_size: The new model's vocab_size.
  """

  checkpoint: str
  vocab_file: str
  new_words: list[str]
  old_size: int
  new_size: int


def extend(
    checkpoint: str, vocab_file: str, new_vocab_file: str, new: str
) -> Extension:
  """Writes a model that knows more words, and its vocabulary beside it.

  Averages of weights grow like the weights; Adam's and momentum's slots grow
  too, by zeros.

  Args:
    checkpoint: The model; see `checkpoints.find`.
    vocab_file: The vocabulary that it was trained with.
    new_vocab_file: A vocabulary file with words to add; those that the model
      knows are left out, and the order of the others is kept.
    new: See `checkpoint_conversion.convert`.

  Returns:
    What was done.

  Raises:
    FileNotFoundError: If one of the files is missing.
    FileExistsError: If the new folder has a checkpoint or a vocabulary already.
    ValueError: If one of the files can't be used, or there is no word to add.
  """
  known = vocabulary.Vocabulary(vocab_file)
  counts = vocabulary.read_counts(vocab_file)
  offered = vocabulary.read_counts(new_vocab_file)
  added = {word: n for word, n in offered.items() if word not in known.vocab}
  if not added:
    raise ValueError(
        f"{new_vocab_file} has no word that {vocab_file} lacks, so there is"
        " nothing to add."
    )
  lines = [f"{word} {n}".rstrip() for word, n in (counts | added).items()]
  sizes = []

  def change(
      contents: checkpoint_conversion.Contents,
  ) -> checkpoint_conversion.Contents:
    old_size = len(contents.values[_EMBEDDING])
    known.check_fits(old_size)
    sources = _sources(len(counts), known.unk_id, len(added), old_size)
    sizes.extend([old_size, len(sources)])
    return contents._replace(
        values=_grown(contents.values, sources, len(counts)),
        model=dataclasses.replace(contents.model, vocab_size=len(sources)),
        texts={VOCAB_FILE: "\n".join(lines)},
    )

  done = checkpoint_conversion.convert(
      checkpoint, new, keep_slots=True, change=change
  )
  return Extension(
      done.checkpoint,
      os.path.join(os.path.dirname(done.checkpoint), VOCAB_FILE),
      list(added),
      *sizes,
  )


def _sources(
    num_known: int, unk_id: int, num_added: int, vocab_size: int
) -> np.ndarray:
  """The old id of each new id; -1 for a new word's.

  Args:
    num_known: The number of words in the old vocabulary file.
    unk_id: The old id of the unknown word, which may be one of them.
    num_added: The number of words to add.
    vocab_size: The number of ids that the old model has.

  Returns:
    An array of shape [new vocab_size].
  """
  sources = [*range(num_known), *[-1] * num_added]
  if unk_id == num_known:
    sources.append(unk_id)
  return np.array([*sources, *range(len(sources), vocab_size)])


def _grown(
    values: Mapping[str, np.ndarray], sources: np.ndarray, num_known: int
) -> dict[str, np.ndarray]:
  """All values and slots, those of words in the order of the new ids."""
  grown = dict(values)
  is_new = sources < 0
  for stored, value in values.items():
    match = _OF_WORDS.fullmatch(stored)
    if not match:
      continue
    name, slot = match.groups()
    # With the words first.
    old = np.moveaxis(value, _WORD_AXES[name], 0)
    new = old[sources]
    known = old[:num_known]
    if slot not in _VALUES:
      new[is_new] = 0
    else:
      new[is_new] = known.mean(axis=0, dtype=np.float64)
      if name == _EMBEDDING:
        # The same for a weight and its average.
        noise = np.random.default_rng(_SEED)
        scale = _NOISE * known.std(dtype=np.float64)
        new[is_new] += noise.normal(0, scale, new[is_new].shape)
      elif name == _BIASES:
        new[is_new] -= np.log(np.sum(is_new))
    new = np.moveaxis(new, 0, _WORD_AXES[name])
    grown[stored] = np.ascontiguousarray(new)
  return grown
