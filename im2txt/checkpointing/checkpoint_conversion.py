"""Rewrites checkpoints: old ones in today's form, and ones with more words.

`convert` writes a checkpoint of any age as training writes them today. `extend`
adds words to the vocabulary of a model that then knows the old ones as before:

    old ids     0 ... n-1 the words    n <UNK>    unused, up to vocab_size
    new ids     0 ... n-1 the same     n ... the new words    <UNK>    unused

The unknown word has no line in the vocabulary file: its id follows the last
one, so it moves, and its values move along. Ids that the configuration's
vocab_size leaves unused are used first; the model grows only beyond them.

A new word starts as the average of the old ones: the mean row of the embedding,
plus a little noise that tells the new words apart, and the mean column of the
logits. Its logit is then the mean of the old words' logits, and its probability
at most one in n whatever the image (J. Hewitt, "Initializing New Word
Embeddings for Pretrained Language Models", 2021), far less where the model is
certain. The logarithm of the number of new words is subtracted from their
biases, so that this holds for all of them together. The logits of the old words
are as before.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os
import re
from typing import NamedTuple
import uuid

import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt.checkpointing import checkpoint_names
from im2txt.checkpointing import checkpoint_paths
from im2txt.checkpointing import checkpoints
from im2txt.checkpointing import saved_config
from im2txt.inference_utils import vocabulary
from im2txt.ops import optimizers
from im2txt.runtime import atomic_files

VOCAB_FILE = "word_counts.txt"

_BIASES = "logits/biases"
_EMBEDDING = "seq_embedding/map"
# The variables that have values for each word, and along which axis.
_WORD_AXES = {_EMBEDDING: 0, "logits/weights": 1, _BIASES: 0}
# The variable that a name in a checkpoint is of, and what follows it. Slots may
# have an objective's name before it.
_OF_WORDS = re.compile(rf"(?:.+/)?({'|'.join(_WORD_AXES)})(|/[^/]+)")
# What the names of weights and of their averages end with.
_VALUES = ("", optimizers.SUFFIX)
# Of the standard deviation of the old words' embeddings.
_NOISE = 0.01
_SEED = 1


_NUM_ENCODER_NAMES = 376
_INDEX, _DATA = ".index", ".data-00000-of-00001"


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
      contents: Contents,
  ) -> Contents:
    old_size = len(contents.values[_EMBEDDING])
    known.check_fits(old_size)
    sources = _sources(len(counts), known.unk_id, len(added), old_size)
    sizes.extend([old_size, len(sources)])
    return contents._replace(
        values=_grown(contents.values, sources, len(counts)),
        model=dataclasses.replace(contents.model, vocab_size=len(sources)),
        texts={VOCAB_FILE: "\n".join(lines)},
    )

  done = convert(checkpoint, new, keep_slots=True, change=change)
  return Extension(
      done.checkpoint,
      os.path.join(os.path.dirname(done.checkpoint), VOCAB_FILE),
      list(added),
      *sizes,
  )


def _sources(
    num_known: int, unk_id: int, num_added: int, vocab_size: int
) -> np.ndarray:
  """Returns the old id of each new id; -1 for a new word's.

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
  """Returns all values and slots, words in the order of the new ids."""
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


class Conversion(NamedTuple):
  """What was done.

  Attributes:
    checkpoint: The new checkpoint's path, without suffix.
    kept: Today's names of all that it holds.
    renamed: (name in the old checkpoint, today's name) where these differ.
    dropped: Names in the old checkpoint that the new one has nothing of.
    global_step: The global step; 0 if the old checkpoint had none.
  """

  checkpoint: str
  kept: Sequence[str]
  renamed: Sequence[tuple[str, str]]
  dropped: Sequence[str]
  global_step: int


class Contents(NamedTuple):
  """What the folder of a checkpoint holds.

  Attributes:
    values: The values by today's names, as NumPy arrays.
    model: The model's configuration.
    training: The training's configuration.
    texts: The contents of further files, by name.
  """

  values: dict[str, np.ndarray]
  model: configuration.ModelConfig
  training: configuration.TrainingConfig
  texts: dict[str, str]


def convert(
    old: str,
    new: str,
    *,
    keep_slots: bool = False,
    change: Callable[[Contents], Contents] = lambda contents: contents,
) -> Conversion:
  """Writes a checkpoint with today's names, in today's format.

  Files `checkpoint` and `config.json` are written beside it. All appear when
  they are whole, the file `checkpoint` last.

  Args:
    old: A checkpoint, or a folder, whose newest one is taken.
    new: A folder, or a checkpoint's path without suffix if its last part has
      ".ckpt" in it. There may be no other checkpoint in the folder.
    keep_slots: Whether to keep the optimizer's variables. Averages of
      weights are kept if the configuration uses them: for the model, or, with
      the slots, for training.
    change: Makes what is written of what was read.

  Returns:
    What was done.

  Raises:
    FileNotFoundError: If there is no old checkpoint.
    FileExistsError: If the new folder has a checkpoint or one of the further
      files already.
    ValueError: If the old checkpoint is damaged or not of an im2txt model.
  """
  path = checkpoint_paths.find(old)
  shapes = checkpoints.shapes(path)
  model, training = saved_config.load(path)
  keep_averages = model.use_ema or (keep_slots and training.ema_decay > 0)
  names = {
      today: stored
      for today, stored in _newest_names(shapes).items()
      if checkpoint_names.is_of_model(today)
      or (keep_slots and checkpoint_names.is_slot(today))
      or (keep_averages and checkpoint_names.is_average(today))
  }
  _check_whole(names, shapes, path)
  values = checkpoints.read(path, names)
  step = np.asarray(values.get(checkpoint_names.GLOBAL_STEP, 0), np.int32)
  values[checkpoint_names.GLOBAL_STEP] = step
  folder, prefix = _destination(new, int(step))
  contents = change(Contents(values, model, training, texts={}))
  _refuse_to_replace(folder, contents.texts)
  _write(folder, prefix, contents)
  return Conversion(
      checkpoint=os.path.join(folder, prefix),
      kept=sorted(values),
      renamed=sorted((s, t) for t, s in names.items() if s != t),
      dropped=sorted(set(shapes) - set(names.values())),
      global_step=int(step),
  )


def _newest_names(stored: Mapping[str, Sequence[int]]) -> dict[str, str]:
  """Returns the stored name of each current name in a checkpoint."""
  todays = {checkpoint_names.todays_name(name) for name in stored}
  found = {t: checkpoint_names.stored_name(t, stored) for t in todays}
  return {today: name for today, name in found.items() if name}


def _check_whole(
    names: Mapping[str, str],
    stored: Mapping[str, Sequence[int]],
    path: str,
) -> None:
  lacking = [n for n in checkpoint_names.DECODER_NAMES if n not in names]
  if lacking:
    raise ValueError(
        f"The checkpoint {path}"
        f" {checkpoint_names.describe_lack(lacking, stored)}"
    )
  is_encoder = [
      name.startswith(checkpoint_names.ENCODERS)
      and checkpoint_names.is_of_model(name)
      for name in names
  ]
  if sum(is_encoder) != _NUM_ENCODER_NAMES:
    raise ValueError(
        f"The checkpoint {path} holds {sum(is_encoder)} of the"
        f" {_NUM_ENCODER_NAMES} variables of Inception v3."
    )


def _destination(new: str, step: int) -> tuple[str, str]:
  """Returns the folder of the new checkpoint and its name in it."""
  folder, name = os.path.split(new)
  if ".ckpt" not in name:
    folder, name = new, f"model.ckpt-{step}"
  _refuse_to_replace(
      folder, ("checkpoint", name, name + _INDEX, saved_config.CONFIG_FILE)
  )
  return folder, name


def _refuse_to_replace(folder: str, files: Iterable[str]) -> None:
  for file in files:
    if tf.io.gfile.exists(os.path.join(folder, file)):
      what = file if file.endswith((".json", ".txt")) else "checkpoint"
      raise FileExistsError(
          f"There is a {what} in {folder or '.'} already. Give another folder,"
          " which will be made."
      )


def _write(folder: str, name: str, contents: Contents) -> None:
  """Writes all files elsewhere in the folder, then moves them to it."""
  staging = os.path.join(folder, f".converting-{uuid.uuid4().hex}")
  with atomic_files.errors_name(os.path.join(folder, name), temporary=staging):
    tf.io.gfile.makedirs(staging)
    try:
      _write_parts(staging, name, contents)
      checkpoint = (name + _DATA, name + _INDEX, "checkpoint")
      for file in (*contents.texts, saved_config.CONFIG_FILE, *checkpoint):
        tf.io.gfile.rename(
            os.path.join(staging, file), os.path.join(folder, file)
        )
    finally:
      tf.io.gfile.rmtree(staging)


def _write_parts(staging: str, name: str, contents: Contents) -> None:
  tf.raw_ops.SaveV2(
      prefix=os.path.join(staging, name),
      tensor_names=list(contents.values),
      shape_and_slices=[""] * len(contents.values),
      tensors=[tf.constant(value) for value in contents.values.values()],
  )
  with tf.io.gfile.GFile(os.path.join(staging, "checkpoint"), "w") as file:
    # A name without a folder, so that the whole can be moved.
    file.write(f'model_checkpoint_path: "{name}"\n')
    file.write(f'all_model_checkpoint_paths: "{name}"\n')
  saved_config.save(staging, contents.model, contents.training)
  for file, text in contents.texts.items():
    with tf.io.gfile.GFile(os.path.join(staging, file), "w") as opened:
      opened.write(text)
