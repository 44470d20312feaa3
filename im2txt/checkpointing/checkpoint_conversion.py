"""Converts checkpoints to current names and formats, and extends vocabularies.

`convert` writes a checkpoint of any age with current names in the current
format. `extend` adds words to the vocabulary of a model:

    old ids     0 ... n-1 the words    n <UNK>    unused, up to vocab_size
    new ids     0 ... n-1 the same     n ... the new words    <UNK>    unused

The unknown word has no line in the vocabulary file. Its id follows the last
word, so the id changes, and its values move along. The ids up to vocab_size
that were unused are used first; the model grows only beyond them.

A new word starts as the average of the old words: the mean row of the
embedding, plus a little noise that distinguishes the new words, and the mean
column of the logits. So its logit is the mean of the old words' logits, and its
probability at most 1 / n for any image (J. Hewitt, "Initializing New Word
Embeddings for Pretrained Language Models", 2021), and far less where the model
is certain. The logarithm of the number of new words is subtracted from their
biases, so that this bound holds for their sum. The logits of the old words do
not change.
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
# The variables with values for each word, and the axis of the words.
_WORD_AXES = {_EMBEDDING: 0, "logits/weights": 1, _BIASES: 0}
# A name in a checkpoint: the variable, and the suffix of a slot or an average.
# The names of slots may have an objective's name as a prefix.
_OF_WORDS = re.compile(rf"(?:.+/)?({'|'.join(_WORD_AXES)})(|/[^/]+)")
# The suffixes of weights and of their averages.
_VALUES = ("", optimizers.SUFFIX)
# Fraction of the standard deviation of the old words' embeddings.
_NOISE = 0.01
_SEED = 1

_NUM_ENCODER_NAMES = 376
_INDEX, _DATA = ".index", ".data-00000-of-00001"


class Extension(NamedTuple):
  """The result of `extend`.

  Attributes:
    checkpoint: Path of the new checkpoint, without suffix.
    vocab_file: Path of the new vocabulary.
    new_words: The words that were added.
    old_size: The vocab_size of the old model.
    new_size: The vocab_size of the new model.
  """

  checkpoint: str
  vocab_file: str
  new_words: list[str]
  old_size: int
  new_size: int


def extend(
    checkpoint: str, vocab_file: str, new_vocab_file: str, new: str
) -> Extension:
  """Writes a model with a larger vocabulary, and the vocabulary beside it.

  Averages of weights are extended like the weights, and the slots of Adam and
  momentum by zeros.

  Args:
    checkpoint: The path of the model; see `checkpoint_paths.find`.
    vocab_file: The path of the vocabulary that the model was trained with.
    new_vocab_file: The path of a vocabulary file with the words to add, in this
      order. Words that are in the vocabulary already are left out.
    new: The path of the new checkpoint; see `convert`.

  Returns:
    The new files, words and sizes.

  Raises:
    FileNotFoundError: If one of the files is missing.
    FileExistsError: If the new folder already has a checkpoint or a vocabulary.
    ValueError: If one of the files is not valid, or there is no word to add.
  """
  known = vocabulary.Vocabulary(vocab_file)
  counts = vocabulary.read_counts(vocab_file)
  offered = vocabulary.read_counts(new_vocab_file)
  added = {word: n for word, n in offered.items() if word not in known.vocab}
  if not added:
    raise ValueError(
        f"All words of {new_vocab_file} are in {vocab_file} already, so there"
        " are none to add."
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
  """Returns the old id for each new id.

  Args:
    num_known: Number of words in the old vocabulary file.
    unk_id: Old id of the unknown word, which may be in the file.
    num_added: Number of words to add.
    vocab_size: The vocab_size of the old model.

  Returns:
    An integer array of shape [new vocab_size], with -1 for new words.
  """
  sources = [*range(num_known), *[-1] * num_added]
  if unk_id == num_known:
    sources.append(unk_id)
  return np.array([*sources, *range(len(sources), vocab_size)])


def _grown(
    values: Mapping[str, np.ndarray], sources: np.ndarray, num_known: int
) -> dict[str, np.ndarray]:
  """Returns all values and slots with the words in the order of new ids."""
  grown = dict(values)
  is_new = sources < 0
  for stored, value in values.items():
    match = _OF_WORDS.fullmatch(stored)
    if not match:
      continue
    name, slot = match.groups()
    # The axis of the words comes first.
    old = np.moveaxis(value, _WORD_AXES[name], 0)
    new = old[sources]
    known = old[:num_known]
    if slot not in _VALUES:
      new[is_new] = 0
    else:
      new[is_new] = known.mean(axis=0, dtype=np.float64)
      if name == _EMBEDDING:
        # The same noise for a weight and its average.
        noise = np.random.default_rng(_SEED)
        scale = _NOISE * known.std(dtype=np.float64)
        new[is_new] += noise.normal(0, scale, new[is_new].shape)
      elif name == _BIASES:
        new[is_new] -= np.log(np.sum(is_new))
    new = np.moveaxis(new, 0, _WORD_AXES[name])
    grown[stored] = np.ascontiguousarray(new)
  return grown


class Conversion(NamedTuple):
  """The result of `convert`.

  Attributes:
    checkpoint: Path of the new checkpoint, without suffix.
    kept: Names of all values in the new checkpoint.
    renamed: Pairs (old name, new name) where these differ.
    dropped: Names in the old checkpoint whose values are not in the new one.
    global_step: The global step; 0 if the old checkpoint has none.
  """

  checkpoint: str
  kept: Sequence[str]
  renamed: Sequence[tuple[str, str]]
  dropped: Sequence[str]
  global_step: int


class Contents(NamedTuple):
  """The contents of a checkpoint and of the files beside it.

  Attributes:
    values: NumPy arrays by the current names of the variables.
    model: The model's configuration.
    training: The configuration of training.
    texts: Texts of further files, by file name.
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
  """Writes a checkpoint with current names in the current format.

  The files `checkpoint` and `config.json` are written beside it. All files are
  written atomically, the file `checkpoint` last.

  Args:
    old: The path of a checkpoint, or of a folder for its newest checkpoint.
    new: The path of a folder, or of a checkpoint without suffix if its last
      part contains ".ckpt". The folder must not have another checkpoint.
    keep_slots: Whether to keep the optimizer's variables. Averages of weights
      are kept if the configuration uses them for the model or, with
      `keep_slots`, for training.
    change: Function from the contents read to the contents to write.

  Returns:
    The path of the new checkpoint and the names of variables.

  Raises:
    FileNotFoundError: If there is no old checkpoint.
    FileExistsError: If the new folder already has a checkpoint or one of the
      other files.
    ValueError: If the old checkpoint is damaged or not of an im2txt model.
  """
  path = checkpoint_paths.find(old)
  shapes = checkpoints.shapes(path)
  model, training = saved_config.load(path)
  keep_averages = model.use_ema or (keep_slots and training.ema_decay > 0)
  names = {
      current: stored
      for current, stored in _stored_names(shapes).items()
      if checkpoint_names.is_of_model(current)
      or (keep_slots and checkpoint_names.is_slot(current))
      or (keep_averages and checkpoint_names.is_average(current))
  }
  _check_complete(names, shapes, path)
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


def _stored_names(stored: Mapping[str, Sequence[int]]) -> dict[str, str]:
  """Returns the names in a checkpoint by the current names."""
  names = {checkpoint_names.current_name(name) for name in stored}
  pairs = {name: checkpoint_names.stored_name(name, stored) for name in names}
  return {current: name for current, name in pairs.items() if name}


def _check_complete(
    names: Mapping[str, str],
    stored: Mapping[str, Sequence[int]],
    path: str,
) -> None:
  missing = [n for n in checkpoint_names.DECODER_NAMES if n not in names]
  if missing:
    raise ValueError(
        f"The checkpoint {path}"
        f" {checkpoint_names.describe_missing(missing, stored)}"
    )
  is_encoder = [
      name.startswith(checkpoint_names.ENCODERS)
      and checkpoint_names.is_of_model(name)
      for name in names
  ]
  if sum(is_encoder) != _NUM_ENCODER_NAMES:
    raise ValueError(
        f"The checkpoint {path} has {sum(is_encoder)} of the"
        f" {_NUM_ENCODER_NAMES} variables of Inception v3."
    )


def _destination(new: str, step: int) -> tuple[str, str]:
  """Returns the folder and the name of the new checkpoint."""
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
          f"There is a {what} in {folder or '.'} already. Choose another"
          " folder, which will be created."
      )


def _write(folder: str, name: str, contents: Contents) -> None:
  """Writes all files to a temporary folder inside, then moves them."""
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
    # A name without a folder, so that all files can be moved together.
    file.write(f'model_checkpoint_path: "{name}"\n')
    file.write(f'all_model_checkpoint_paths: "{name}"\n')
  saved_config.save(staging, contents.model, contents.training)
  for file, text in contents.texts.items():
    with tf.io.gfile.GFile(os.path.join(staging, file), "w") as opened:
      opened.write(text)
