"""Model and training configuration, with overrides and a JSON form.

Every program starts from `ModelConfig()` and `TrainingConfig()`, whose
defaults are those of the released MSCOCO model, or from the `config.json` that
training saves with its checkpoints, and then applies the user's overrides:

    --config_overrides=batch_size=64,embedding_size=256,optimizer=adam
"""

from collections.abc import Mapping
import dataclasses
import json
from typing import Any

SAMPLING_SCHEDULES = ("off", "linear", "exponential", "inverse_sigmoid")

# Maximal number of characters of a malformed text in an error message.
_MAX_SHOWN = 80


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
  """Configuration of the model and its input; defaults as released."""

  # Format of the images in the records, "jpeg" or "png".
  image_format: str = "jpeg"

  # Names of the records' features with the encoded image and the word ids.
  image_feature_name: str = "image/data"
  caption_feature_name: str = "image/caption_ids"

  # Rows of the word embedding. More than the 11,520 words of the MSCOCO
  # vocabulary, so that a rebuilt vocabulary of a slightly different size fits.
  vocab_size: int = 12000

  # The original's even and odd threads distort colours in two different orders.
  # Images are assigned to so many threads in turn, so that half of them are
  # distorted in each order. The actual number of threads is that of the cores.
  num_preprocess_threads: int = 4

  # Records in the shuffle buffer. The builder has shuffled the records and the
  # shards are shuffled in each epoch, so a small buffer suffices. Training
  # starts when it is full.
  shuffle_buffer_size: int = 1024

  batch_size: int = 32

  # Number of batches within which examples are sorted by caption length, to
  # reduce padding. 1, as released: they are not sorted.
  bucket_batches: int = 1

  # Input size of the encoder; Inception v3 was designed for 299 x 299.
  image_height: int = 299
  image_width: int = 299

  # Size to which images are resized before they are cropped to the input size;
  # 0 for no resizing.
  resize_height: int = 346
  resize_width: int = 346

  # Factor for the number of channels of each encoder layer; 1 is Inception v3.
  inception_depth_multiplier: float = 1.0

  # Decay of batch normalization's moving averages; the value with which
  # Inception v3 was trained.
  batch_norm_decay: float = 0.9997

  # Whether batch normalization uses its moving averages also while the encoder
  # is trained, and leaves them as they are. As released, it uses the mean and
  # variance of the batch, which costs more than a short fine-tuning gains.
  freeze_batch_norm: bool = False

  # Dropout after the encoder's pooling, and the weight decay of its kernels.
  # Both apply only while the encoder is trained.
  inception_dropout_keep_prob: float = 0.8
  inception_weight_decay: float = 4e-5

  # The decoder's kernels are initialized uniformly in [-scale, scale].
  initializer_scale: float = 0.08

  # The paper's sizes (arXiv 1609.06647, section 4.3).
  embedding_size: int = 512
  num_lstm_units: int = 512

  # Dropout of the LSTM's inputs and outputs, not of its state.
  lstm_dropout_keep_prob: float = 0.7

  # Whether evaluation, captioning and export use the moving averages of the
  # weights, which training with ema_decay saves, instead of the weights.
  use_ema: bool = False

  def __post_init__(self):
    _check_types(self)
    _check_positive(
        self,
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
    )
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


def _check_resize(resize: int, crop: int, side: str) -> None:
  if resize and resize < crop:
    raise ValueError(
        f"resize_{side} must be at least image_{side} ({crop}), or 0 for no"
        f" resizing. Got: {resize}."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
  """Configuration of the optimizer, its schedules and the run.

  The defaults are those of the released code; what it does not have is off.
  """

  # Image-caption pairs of the MSCOCO training split, for learning rate decay.
  num_examples_per_epoch: int = 586363

  # "SGD", "momentum" or "adam", in upper or lower case.
  optimizer: str = "SGD"

  # Momentum of the optimizer "momentum".
  momentum: float = 0.9

  # Learning rate while the encoder is frozen, with staircase decay. Adam needs
  # a much lower rate, such as 0.001.
  initial_learning_rate: float = 2.0
  learning_rate_decay_factor: float = 0.5
  num_epochs_per_decay: float = 8.0

  # Constant learning rate while the encoder is trained too.
  train_inception_learning_rate: float = 0.0005

  # Factor for that rate in the encoder; 1, as released, uses the same rate for
  # all variables. The encoder is pretrained and the decoder much less trained,
  # so smaller steps may suit the encoder.
  inception_learning_rate_factor: float = 1.0

  # Share of a target's probability that label smoothing distributes over the
  # whole vocabulary (Szegedy et al., arXiv 1512.00567, section 7); 0 is off.
  label_smoothing: float = 0.0

  # Decoupled weight decay of the decoder's kernels (Loshchilov and Hutter,
  # arXiv 1711.05101): each step subtracts the learning rate times this factor
  # times the kernel. With SGD, this equals an L2 loss. Biases do not decay, nor
  # does the word embedding, most of whose rows get no gradient in a step.
  # 0 is off.
  decoder_weight_decay: float = 0.0

  # Decay of the moving averages of the weights, which checkpoints then contain
  # besides the weights; see use_ema. 0 is off; 0.9999 averages over about
  # 10,000 steps.
  ema_decay: float = 0.0

  # Scheduled sampling (Bengio et al., arXiv 1506.03099): in step i, the word
  # that is fed to the LSTM is the caption's with a probability that falls from
  # near 1, and is drawn from the model's previous prediction otherwise. The
  # probability is
  #   linear           offset - slope * i
  #   exponential      base ** i
  #   inverse_sigmoid  k / (k + exp(i / k)), which is 1/2 at i = k * log(k)
  # but at least the minimum. "off", as released: always the caption's word.
  scheduled_sampling: str = "off"
  scheduled_sampling_offset: float = 1.0
  scheduled_sampling_slope: float = 5e-7
  scheduled_sampling_base: float = 0.9999995
  scheduled_sampling_k: float = 100000.0
  scheduled_sampling_minimum: float = 0.0

  # Constant learning rate of --objective=self_critical; chosen for Adam.
  self_critical_learning_rate: float = 5e-5

  # Captions sampled per image. 1: the baseline is the reward of the greedy
  # caption (arXiv 1612.00563); more: the mean reward of the image's other
  # samples (arXiv 2003.09971).
  self_critical_samples: int = 5

  # Maximal global norm of the gradients.
  clip_gradients: float = 5.0

  max_checkpoints_to_keep: int = 5

  # Steps between checkpoints. 0, as released: an interval in seconds is used.
  # With steps, stopping early does not depend on the speed of the machine.
  save_checkpoint_steps: int = 0

  # Intervals between checkpoints and between summaries, in seconds.
  save_checkpoint_secs: float = 600.0
  save_summaries_secs: float = 600.0

  # Seed for initial values, order of the records, distortions and dropout.
  seed: int = 12345

  def __post_init__(self):
    _check_types(self)
    _check_positive(
        self,
        "num_examples_per_epoch",
        "num_epochs_per_decay",
        "learning_rate_decay_factor",
        "clip_gradients",
        "max_checkpoints_to_keep",
        "scheduled_sampling_offset",
        "self_critical_samples",
    )
    if self.optimizer.lower() not in ("sgd", "momentum", "adam"):
      raise ValueError(
          f"optimizer must be SGD, momentum or adam. Got: {self.optimizer!r}."
      )
    _check_fractions(
        self,
        "momentum",
        "label_smoothing",
        "ema_decay",
        "scheduled_sampling_minimum",
    )
    _check_not_negative(
        self,
        "initial_learning_rate",
        "train_inception_learning_rate",
        "inception_learning_rate_factor",
        "self_critical_learning_rate",
        "decoder_weight_decay",
        "save_checkpoint_steps",
        "save_checkpoint_secs",
        "save_summaries_secs",
        "scheduled_sampling_slope",
    )
    if self.scheduled_sampling not in SAMPLING_SCHEDULES:
      raise ValueError(
          "scheduled_sampling must be one of"
          f" {', '.join(SAMPLING_SCHEDULES)}. Got: {self.scheduled_sampling!r}."
      )
    if not 0 < self.scheduled_sampling_base < 1:
      raise ValueError(
          "scheduled_sampling_base must be in (0, 1). Got:"
          f" {self.scheduled_sampling_base}."
      )
    if self.scheduled_sampling_k < 1:
      raise ValueError(
          "scheduled_sampling_k must be at least 1. Got:"
          f" {self.scheduled_sampling_k}."
      )


def apply_overrides(
    model: ModelConfig, training: TrainingConfig, overrides: str
) -> tuple[ModelConfig, TrainingConfig]:
  """Applies a text of overrides to the two configurations.

  Args:
    model: The model configuration to start from.
    training: The training configuration to start from.
    overrides: Comma-separated assignments "field=value" to fields of either
      configuration; may be empty.

  Returns:
    The two configurations with the values of `overrides`.

  Raises:
    ValueError: If an assignment is malformed, its field is unknown, or its
      value is not valid for the field.
  """
  return replace(model, training, parse_overrides(overrides))


def parse_overrides(overrides: str) -> dict[str, Any]:
  """Parses a text of overrides.

  Args:
    overrides: See `apply_overrides`.

  Returns:
    The value of each field that is assigned, in the field's type.

  Raises:
    ValueError: If an assignment is malformed, its field is unknown, or its
      value is of another type than the field.
  """
  types = {**_field_types(ModelConfig), **_field_types(TrainingConfig)}
  values = {}
  for assignment in filter(None, (a.strip() for a in overrides.split(","))):
    name, equals, text = assignment.partition("=")
    if not equals:
      raise ValueError(
          f"An override must have the form field=value. Got: {assignment!r}."
      )
    if name not in types:
      raise ValueError(
          f"Unknown configuration field: {name!r}. The fields are"
          f" {', '.join(sorted(types))}."
      )
    values[name] = _parse(name, types[name], text)
  return values


def replace(
    model: ModelConfig, training: TrainingConfig, values: Mapping[str, Any]
) -> tuple[ModelConfig, TrainingConfig]:
  """Replaces values of the two configurations.

  Args:
    model: The model configuration to start from.
    training: The training configuration to start from.
    values: New values by field name, for fields of either configuration.

  Returns:
    The two configurations with `values`.

  Raises:
    ValueError: If a value is not valid for its field.
  """
  model_fields = _field_types(ModelConfig)
  of_model = {f: value for f, value in values.items() if f in model_fields}
  others = {f: value for f, value in values.items() if f not in model_fields}
  return (
      dataclasses.replace(model, **of_model),
      dataclasses.replace(training, **others),
  )


def to_json(model: ModelConfig, training: TrainingConfig) -> str:
  """Returns the two configurations as JSON, for `from_json`."""
  values = {
      "model": dataclasses.asdict(model),
      "training": dataclasses.asdict(training),
  }
  return json.dumps(values, indent=2) + "\n"


def to_markdown(model: ModelConfig, training: TrainingConfig) -> str:
  """Returns the two configurations as a Markdown table, for TensorBoard."""
  rows = [
      f"| {config} | {name} | {value} |"
      for config, fields in (("model", model), ("training", training))
      for name, value in dataclasses.asdict(fields).items()
  ]
  return "\n".join(["| of | field | value |", "| --- | --- | --- |", *rows])


def from_json(text: str) -> tuple[ModelConfig, TrainingConfig]:
  """Reads the two configurations from a text written by `to_json`.

  Fields that are missing have their defaults, so that configurations saved by
  earlier versions can be read.

  Args:
    text: A JSON object with the objects "model" and "training".

  Returns:
    The model and the training configuration.

  Raises:
    ValueError: If the text is not such a JSON object, or if a field is unknown
      or its value is not valid.
  """
  values = json.loads(text)
  if not isinstance(values, dict) or values.keys() - {"model", "training"}:
    raise ValueError(
        'A configuration must be a JSON object with "model" and "training".'
        f" Got: {text[:_MAX_SHOWN]!r}."
    )
  return (
      ModelConfig(**_checked_fields(ModelConfig, values.get("model", {}))),
      TrainingConfig(
          **_checked_fields(TrainingConfig, values.get("training", {}))
      ),
  )


def _checked_fields(config_class: type, values: Any) -> dict[str, Any]:
  """Returns values from JSON if they are a dict with known fields only."""
  if not isinstance(values, dict):
    raise ValueError(
        f"The fields of {config_class.__name__} must be a JSON object. Got:"
        f" {values!r}."
    )
  known = _field_types(config_class)
  unknown = values.keys() - known.keys()
  if unknown:
    raise ValueError(
        f"Unknown fields of {config_class.__name__}:"
        f" {', '.join(sorted(unknown))}. The fields are"
        f" {', '.join(sorted(known))}."
    )
  return values


def _field_types(config_class: Any) -> dict[str, Any]:
  """Returns the types of a configuration's fields: str, int, float or bool."""
  return {field.name: field.type for field in dataclasses.fields(config_class)}


def _parse(name: str, field_type: type, text: str) -> Any:
  """Returns the value of a field that a text stands for."""
  try:
    if field_type is bool:
      return {"true": True, "false": False}[text.lower()]
    return field_type(text)
  except (KeyError, ValueError):
    raise ValueError(
        f"{name} must be of type {field_type.__name__}. Got: {text!r}."
    ) from None


def _check_types(config: ModelConfig | TrainingConfig) -> None:
  """Raises a ValueError if the value of a field is of another type."""
  for name, field_type in _field_types(config).items():
    value = getattr(config, name)
    accepted = (int, float) if field_type is float else field_type
    is_wrong_bool = isinstance(value, bool) and field_type is not bool
    if is_wrong_bool or not isinstance(value, accepted):
      raise ValueError(
          f"{name} must be of type {field_type.__name__}. Got: {value!r}."
      )


def _check_positive(config: ModelConfig | TrainingConfig, *names: str) -> None:
  """Raises a ValueError if a field is not greater than 0."""
  for name in names:
    if not getattr(config, name) > 0:  # Also true of NaN.
      raise ValueError(
          f"{name} must be positive. Got: {getattr(config, name)}."
      )


def _check_not_negative(
    config: ModelConfig | TrainingConfig, *names: str
) -> None:
  """Raises a ValueError if a field is less than 0 or NaN."""
  for name in names:
    if not getattr(config, name) >= 0:
      raise ValueError(
          f"{name} must not be negative. Got: {getattr(config, name)}."
      )


def _check_fractions(config: ModelConfig | TrainingConfig, *names: str) -> None:
  """Raises a ValueError if a field is not in [0, 1)."""
  for name in names:
    if not 0 <= getattr(config, name) < 1:
      raise ValueError(
          f"{name} must be in [0, 1). Got: {getattr(config, name)}."
      )
