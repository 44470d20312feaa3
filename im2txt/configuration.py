"""Model and training parameters, with overrides and a JSON form.

Every program starts from `ModelConfig()` and `TrainingConfig()`, whose
defaults are those of the released MSCOCO model, or from the `config.json` that
training left beside its checkpoints, and then applies the user's overrides:

    --config_overrides=batch_size=64,embedding_size=256,optimizer=adam
"""

from collections.abc import Mapping
import dataclasses
import json
import typing
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
  """The model and its input; defaults are the released model's."""

  # "jpeg" or "png": how the records hold their images.
  image_format: str = "jpeg"

  # Where the records keep the encoded image and the word ids.
  image_feature_name: str = "image/data"
  caption_feature_name: str = "image/caption_ids"

  # Rows of the word embedding. Larger than the 11,520 words of the MSCOCO
  # vocabulary, so that a re-built vocabulary of another size still fits.
  vocab_size: int = 12000

  # Even and odd threads distort colours in two different orders, so half the
  # training images go each way; this many images are prepared at once.
  num_preprocess_threads: int = 4

  # Records held for shuffling. The builder has shuffled them already, and the
  # shards are shuffled each epoch, so a few of them are enough; training
  # starts when these are read.
  shuffle_buffer_size: int = 1024

  batch_size: int = 32

  # Training examples are sorted by caption length within so many batches, for
  # less padding. 1, as released: the order is by chance alone.
  bucket_batches: int = 1

  # What the encoder sees; Inception v3 was designed for 299 x 299.
  image_height: int = 299
  image_width: int = 299

  # What images are resized to before they are cropped to the size above.
  resize_height: int = 346
  resize_width: int = 346

  # Multiplies the channels of every encoder layer; 1 is Inception v3.
  inception_depth_multiplier: float = 1.0

  # Of the moving averages; the value Inception v3 was trained with.
  batch_norm_decay: float = 0.9997

  # Dropout after the encoder's pooling and the weight decay of its kernels,
  # both only while the encoder is trained.
  inception_dropout_keep_prob: float = 0.8
  inception_weight_decay: float = 4e-5

  # The decoder's kernels start uniform in [-scale, scale].
  initializer_scale: float = 0.08

  # The paper's sizes (arXiv 1609.06647, section 4.3).
  embedding_size: int = 512
  num_lstm_units: int = 512

  # Dropout on the inputs and outputs of the LSTM, never on its state.
  lstm_dropout_keep_prob: float = 0.7

  def __post_init__(self):
    _check_field_types(self)
    for name in (
        "vocab_size",
        "num_preprocess_threads",
        "shuffle_buffer_size",
        "batch_size",
        "bucket_batches",
        "image_height",
        "image_width",
        "embedding_size",
        "num_lstm_units",
        "inception_depth_multiplier",
    ):
      _check_positive(self, name)
    if self.image_format not in ("jpeg", "png"):
      raise ValueError(
          f"image_format must be jpeg or png. Got: {self.image_format!r}."
      )
    if self.num_preprocess_threads % 2:
      raise ValueError(
          "num_preprocess_threads must be even, so that both colour orders are"
          f" used equally. Got: {self.num_preprocess_threads}."
      )
    for name in ("lstm_dropout_keep_prob", "inception_dropout_keep_prob"):
      if not 0 < getattr(self, name) <= 1:
        raise ValueError(
            f"{name} must be in (0, 1]. Got: {getattr(self, name)}."
        )
    _check_resize(self.resize_height, self.image_height, "height")
    _check_resize(self.resize_width, self.image_width, "width")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
  """The optimizer, its schedules and the run; defaults as released."""

  # Image-caption pairs in the MSCOCO training split; decays the rate.
  num_examples_per_epoch: int = 586363

  # "SGD", "momentum" or "adam", in any case.
  optimizer: str = "SGD"

  # For the optimizer "momentum".
  momentum: float = 0.9

  # While the encoder is frozen. Adam wants some 0.001 instead.
  initial_learning_rate: float = 2.0
  learning_rate_decay_factor: float = 0.5
  num_epochs_per_decay: float = 8.0

  # While everything is trained; constant.
  train_inception_learning_rate: float = 0.0005

  # By the global norm of all gradients.
  clip_gradients: float = 5.0

  max_checkpoints_to_keep: int = 5

  # Seconds between checkpoints, and between summaries.
  save_checkpoint_secs: float = 600.0
  save_summaries_secs: float = 600.0

  # Of initial values, order of the records, distortions and dropout.
  seed: int = 12345

  def __post_init__(self):
    _check_field_types(self)
    for name in (
        "num_examples_per_epoch",
        "num_epochs_per_decay",
        "clip_gradients",
        "max_checkpoints_to_keep",
    ):
      _check_positive(self, name)
    if self.optimizer.lower() not in ("sgd", "momentum", "adam"):
      raise ValueError(
          f"optimizer must be SGD, momentum or adam. Got: {self.optimizer!r}."
      )


def apply_overrides(
    model: ModelConfig, training: TrainingConfig, overrides: str
) -> tuple[ModelConfig, TrainingConfig]:
  """Applies "field=value,field=value" to the two configurations.

  Args:
    model: The model's configuration to start from.
    training: The training configuration to start from.
    overrides: Comma-separated assignments to fields of either; may be empty.

  Returns:
    The two configurations with the values of `overrides`.

  Raises:
    ValueError: If an assignment is malformed, names no field, or has a value
      that the field can't take.
  """
  changes: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
  for assignment in filter(None, (a.strip() for a in overrides.split(","))):
    name, equals, text = assignment.partition("=")
    if not equals:
      raise ValueError(
          f"An override must have the form field=value. Got: {assignment!r}."
      )
    for config, values in zip((model, training), changes, strict=True):
      if name in _field_types(config):
        values[name] = _parse(name, _field_types(config)[name], text)
        break
    else:
      known = sorted((*_field_types(model), *_field_types(training)))
      raise ValueError(
          f"No config field is called {name!r}. The fields: {', '.join(known)}."
      )
  return (
      dataclasses.replace(model, **changes[0]),
      dataclasses.replace(training, **changes[1]),
  )


def to_json(model: ModelConfig, training: TrainingConfig) -> str:
  """The two configurations as a JSON text that `from_json` reads."""
  values = {
      "model": dataclasses.asdict(model),
      "training": dataclasses.asdict(training),
  }
  return json.dumps(values, indent=2) + "\n"


def to_markdown(model: ModelConfig, training: TrainingConfig) -> str:
  """The two configurations as a table, for TensorBoard."""
  rows = [
      f"| {config} | {name} | {value} |"
      for config, fields in (("model", model), ("training", training))
      for name, value in dataclasses.asdict(fields).items()
  ]
  return "\n".join(["| of | field | value |", "| --- | --- | --- |", *rows])


def from_json(text: str) -> tuple[ModelConfig, TrainingConfig]:
  """The two configurations of a text that `to_json` made.

  Fields that the text lacks keep their defaults, so configurations saved by
  earlier versions go on working.

  Args:
    text: A JSON object with the objects "model" and "training".

  Returns:
    The model's and the training configuration.

  Raises:
    ValueError: If the text is not such a JSON object or names unknown fields.
  """
  values = json.loads(text)
  if not isinstance(values, dict):
    raise ValueError(f"A configuration must be a JSON object. Got: {text!r}.")
  return (
      _from_mapping(ModelConfig, values.get("model", {})),
      _from_mapping(TrainingConfig, values.get("training", {})),
  )


def _from_mapping(config_class: type, values: Mapping[str, Any]) -> Any:
  unknown = set(values) - set(_field_types(config_class))
  if unknown:
    raise ValueError(
        f"No {config_class.__name__} field is called {sorted(unknown)}. The"
        f" fields: {', '.join(sorted(_field_types(config_class)))}."
    )
  return config_class(**values)


def _field_types(config: Any) -> dict[str, type]:
  return typing.get_type_hints(
      config if isinstance(config, type) else type(config)
  )


def _parse(name: str, field_type: type, text: str) -> Any:
  try:
    return field_type(text)
  except ValueError:
    raise ValueError(
        f"{name} takes a value of type {field_type.__name__}. Got: {text!r}."
    ) from None


def _check_field_types(config: Any) -> None:
  for name, field_type in _field_types(config).items():
    value = getattr(config, name)
    accepted = (int, float) if field_type is float else field_type
    if isinstance(value, bool) or not isinstance(value, accepted):
      raise ValueError(
          f"{name} takes a value of type {field_type.__name__}. Got: {value!r}."
      )


def _check_positive(config: Any, name: str) -> None:
  if getattr(config, name) <= 0:
    raise ValueError(f"{name} must be positive. Got: {getattr(config, name)}.")


def _check_resize(resize: int, crop: int, side: str) -> None:
  if resize and resize < crop:
    raise ValueError(
        f"resize_{side} must be at least image_{side} ({crop}), or 0 for no"
        f" resizing. Got: {resize}."
    )
