"""Names of variables in checkpoints, from TensorFlow 0.x on.

| TensorFlow | variables of the LSTM |
| --- | --- |
| before 1.0 | `lstm/BasicLSTMCell/Linear/{Matrix,Bias}` |
| 1.0, 1.1 | `lstm/basic_lstm_cell/{weights,biases}` |
| 1.2 and later | `lstm/basic_lstm_cell/{kernel,bias}`, the current names |

The name of an optimizer's slot, or of an average of weights, is the name of its
variable and a suffix. The names of slots have the prefix `OptimizeLoss/` in
checkpoints of the original, and the name of an objective in those of
self-critical training.
"""

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import itertools
import re

from im2txt.ops import optimizers

# Beginnings of the names of an encoder's variables.
ENCODERS = ("InceptionV3/",)
GLOBAL_STEP = "global_step"
_KERNEL = "lstm/basic_lstm_cell/kernel"
_BIAS = "lstm/basic_lstm_cell/bias"
_WORDS = "seq_embedding/map"
DECODER_NAMES = (
    "image_embedding/weights",
    _WORDS,
    _KERNEL,
    _BIAS,
    "logits/weights",
    "logits/biases",
)

# Pairs (current prefix, older prefix) of names.
_OLDER = (
    (_KERNEL, "lstm/basic_lstm_cell/weights"),
    (_KERNEL, "lstm/BasicLSTMCell/Linear/Matrix"),
    (_BIAS, "lstm/basic_lstm_cell/biases"),
    (_BIAS, "lstm/BasicLSTMCell/Linear/Bias"),
)
_OPTIMIZER_SCOPE = "OptimizeLoss/"
_ENCODER_NAME = re.compile(
    r"InceptionV3/(?!Logits/|AuxLogits/).*/"
    r"(weights|BatchNorm/(beta|moving_mean|moving_variance))"
)
_SLOT_NAME = re.compile(r"(.+/(Momentum|Adam|Adam_1)|(.+/)?beta[12]_power)")


def stored_name(
    name: str, stored: Collection[str], *, averaged: bool = False
) -> str | None:
  """Returns the name of a variable in a checkpoint.

  Args:
    name: The current name of the variable or of an optimizer's slot.
    stored: All names in the checkpoint.
    averaged: Whether to prefer the average of the variable, if there is one.

  Returns:
    The newest name that is in the checkpoint; None if there is none.
  """
  names = _candidates(name)
  if averaged:
    averages = _candidates(name + optimizers.SUFFIX)
    names = itertools.chain(averages, names)
  return next((n for n in names if n in stored), None)


def current_name(stored: str) -> str:
  """Returns the current name for a name in a checkpoint of any age."""
  name = stored.removeprefix(_OPTIMIZER_SCOPE)
  for current, older in _OLDER:
    if name == older or name.startswith(older + "/"):
      return current + name.removeprefix(older)
  return name


def is_of_model(name: str) -> bool:
  """Returns whether a current name is that of a variable of the model."""
  return (
      name in DECODER_NAMES
      or name == GLOBAL_STEP
      or _ENCODER_NAME.fullmatch(name) is not None
  )


def is_slot(name: str) -> bool:
  """Returns whether a current name is that of an optimizer's slot."""
  return _SLOT_NAME.fullmatch(name) is not None


def is_average(name: str) -> bool:
  """Returns whether a name is that of an average of weights."""
  return name.endswith(optimizers.SUFFIX)


def has_encoder(stored: Collection[str]) -> bool:
  """Returns whether a checkpoint with these names holds an Inception v3."""
  return any(_ENCODER_NAME.fullmatch(name) for name in stored)


def has_decoder(stored: Collection[str]) -> bool:
  """Returns whether a checkpoint with these names holds a caption decoder."""
  return any(stored_name(name, stored) for name in DECODER_NAMES)


def has_averages(stored: Collection[str]) -> bool:
  """Returns whether a checkpoint with these names has averages of weights."""
  return any(map(is_average, stored))


def describe_missing(missing: Sequence[str], stored: Collection[str]) -> str:
  """Describes the variables that are missing from a checkpoint.

  Args:
    missing: The current names of the missing variables; at least one.
    stored: All names in the checkpoint.

  Returns:
    A clause that follows "The checkpoint ...".
  """
  has_decoder = any(stored_name(name, stored) for name in DECODER_NAMES)
  if has_encoder(stored) and not has_decoder:
    return (
        "holds an Inception v3 alone, not an im2txt model. Use it as"
        " --inception_checkpoint_file, to start training from."
    )
  return (
      f"is missing {len(missing)} variables of the model, such as {missing[0]}."
  )


def sizes(shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
  """Returns the sizes of a model that the shapes of its variables imply.

  Args:
    shapes: The shapes in a checkpoint, by name.

  Returns:
    `vocab_size`, `embedding_size` and `num_lstm_units`, as fields of
    `configuration.ModelConfig`; empty if there is no decoder.
  """
  words, kernel = (
      shapes.get(stored_name(name, shapes) or "", ())
      for name in (_WORDS, _KERNEL)
  )
  if len(words) != 2 or len(kernel) != 2:
    return {}
  return {
      "vocab_size": words[0],
      "embedding_size": words[1],
      "num_lstm_units": kernel[1] // 4,  # The columns of four gates.
  }


def _candidates(name: str) -> Iterator[str]:
  names = [name]
  for current, older in _OLDER:
    if name == current or name.startswith(current + "/"):
      names.append(older + name.removeprefix(current))
  yield from names
  if is_slot(name):
    yield from (_OPTIMIZER_SCOPE + each for each in names)
