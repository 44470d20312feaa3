"""What the variables of a checkpoint were called, from TensorFlow 0.x on.

| TensorFlow | the LSTM's variables |
| --- | --- |
| before 1.0 | `lstm/BasicLSTMCell/Linear/{Matrix,Bias}` |
| 1.0, 1.1 | `lstm/basic_lstm_cell/{weights,biases}` |
| 1.2 and later | `lstm/basic_lstm_cell/{kernel,bias}`, today's |

An optimizer's slots, and the averages of weights, have the name of their
variable and a last part of their own; the original's training puts
`OptimizeLoss/` before that of a slot, and an objective its own name.
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

# (today's, older) beginnings of names.
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
  """Returns the name that a variable goes by in a checkpoint.

  Args:
    name: Today's name of the variable, or of an optimizer's slot.
    stored: All names in the checkpoint.
    averaged: Whether its average is wanted rather than itself, if both are
      there.

  Returns:
    The first of today's and the older names that is there; None if none is.
  """
  names = _candidates(name)
  if averaged:
    averages = _candidates(name + optimizers.SUFFIX)
    names = itertools.chain(averages, names)
  return next((n for n in names if n in stored), None)


def todays_name(stored: str) -> str:
  """Today's name of what a checkpoint calls `stored`."""
  name = stored.removeprefix(_OPTIMIZER_SCOPE)
  for today, older in _OLDER:
    if name == older or name.startswith(older + "/"):
      return today + name.removeprefix(older)
  return name


def is_of_model(name: str) -> bool:
  """Returns whether a model has a variable of that (today's) name."""
  return (
      name in DECODER_NAMES
      or name == GLOBAL_STEP
      or _ENCODER_NAME.fullmatch(name) is not None
  )


def is_slot(name: str) -> bool:
  """Returns whether a (current) name is that of an optimizer's slot."""
  return _SLOT_NAME.fullmatch(name) is not None


def is_average(name: str) -> bool:
  """Returns whether what has that name is an average of weights."""
  return name.endswith(optimizers.SUFFIX)


def has_encoder(stored: Collection[str]) -> bool:
  """Returns whether a checkpoint of these names holds an Inception v3."""
  return any(_ENCODER_NAME.fullmatch(name) for name in stored)


def has_decoder(stored: Collection[str]) -> bool:
  """Returns whether a checkpoint of these names is of an im2txt model."""
  return any(stored_name(name, stored) for name in DECODER_NAMES)


def has_averages(stored: Collection[str]) -> bool:
  """Returns whether a checkpoint of these names holds averages of weights."""
  return any(map(is_average, stored))


def describe_lack(lacking: Sequence[str], stored: Collection[str]) -> str:
  """Returns the text of an error about missing variables.

  Args:
    lacking: The current names of the missing variables; at least one.
    stored: All names in the checkpoint.

  Returns:
    The rest of a message that begins with "The checkpoint ...".
  """
  has_decoder = any(stored_name(name, stored) for name in DECODER_NAMES)
  if has_encoder(stored) and not has_decoder:
    return (
        "holds an Inception v3 alone, not an im2txt model: it is for"
        " --inception_checkpoint_file, to train from."
    )
  return f"lacks {len(lacking)} variables of the model, such as {lacking[0]}."


def sizes(shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
  """Returns the sizes of a model by the shapes of its variables.

  Args:
    shapes: The shapes in a checkpoint, by name.

  Returns:
    `vocab_size`, `embedding_size` and `num_lstm_units`, as fields of
    `configuration.ModelConfig`; nothing if the shapes are not a decoder's.
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
  for today, older in _OLDER:
    if name == today or name.startswith(today + "/"):
      names.append(older + name.removeprefix(today))
  yield from names
  if is_slot(name):
    yield from (_OPTIMIZER_SCOPE + each for each in names)
