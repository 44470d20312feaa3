"""The configuration of the optimizer, its schedules and the run."""

import dataclasses

from im2txt.config import config_fields

SAMPLING_SCHEDULES = ("off", "linear", "exponential", "inverse_sigmoid")


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

  # The encoder's part of that rate; 1, as released, is the same for all. The
  # encoder comes trained, the decoder hardly, so it may want smaller steps.
  inception_learning_rate_factor: float = 1.0

  # The share of a word's target that label smoothing spreads over the whole
  # vocabulary (Szegedy et al., arXiv 1512.00567, section 7); 0 is off.
  label_smoothing: float = 0.0

  # How much of themselves, times the learning rate, the decoder's kernels lose
  # each step: decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101),
  # for SGD the same as an L2 loss. Not the biases, nor the word embedding, most
  # of whose rows get no gradient in a step. 0 is off.
  decoder_weight_decay: float = 0.0

  # Of an exponential moving average of the weights, kept beside them in the
  # checkpoints; see use_ema. 0 is off; 0.9999 averages some 10,000 steps.
  ema_decay: float = 0.0

  # Scheduled sampling (Bengio et al., arXiv 1506.03099): in step i, a word fed
  # to the LSTM is the caption's with a probability that falls from near 1, and
  # otherwise drawn from what the model itself just predicted.
  #   linear           offset - slope * i
  #   exponential      base ** i
  #   inverse_sigmoid  k / (k + exp(i / k)); half are sampled at i = k * log(k)
  # never below the minimum. "off", as released: always the caption's.
  scheduled_sampling: str = "off"
  scheduled_sampling_offset: float = 1.0
  scheduled_sampling_slope: float = 5e-7
  scheduled_sampling_base: float = 0.9999995
  scheduled_sampling_k: float = 100000.0
  scheduled_sampling_minimum: float = 0.0

  # For --objective=self_critical; constant, and made for Adam.
  self_critical_learning_rate: float = 5e-5

  # Captions drawn of each image. 1: the baseline is the greedy caption, as in
  # arXiv 1612.00563; more: the mean of the image's others (2003.09971).
  self_critical_samples: int = 5

  # By the global norm of all gradients.
  clip_gradients: float = 5.0

  max_checkpoints_to_keep: int = 5

  # Seconds between checkpoints, and between summaries.
  save_checkpoint_secs: float = 600.0
  save_summaries_secs: float = 600.0

  # Of initial values, order of the records, distortions and dropout.
  seed: int = 12345

  def __post_init__(self):
    config_fields.check_types(self)
    for name in (
        "num_examples_per_epoch",
        "num_epochs_per_decay",
        "learning_rate_decay_factor",
        "clip_gradients",
        "max_checkpoints_to_keep",
        "scheduled_sampling_offset",
        "self_critical_samples",
    ):
      config_fields.check_positive(self, name)
    if self.optimizer.lower() not in ("sgd", "momentum", "adam"):
      raise ValueError(
          f"optimizer must be SGD, momentum or adam. Got: {self.optimizer!r}."
      )
    for name in ("momentum", "label_smoothing", "ema_decay"):
      config_fields.check_between(self, name, 0, 1)
    for name in (
        "initial_learning_rate",
        "train_inception_learning_rate",
        "inception_learning_rate_factor",
        "self_critical_learning_rate",
        "decoder_weight_decay",
        "save_checkpoint_secs",
        "save_summaries_secs",
    ):
      config_fields.check_not_negative(self, name)
    self._check_sampling()

  def _check_sampling(self):
    if self.scheduled_sampling not in SAMPLING_SCHEDULES:
      raise ValueError(
          "scheduled_sampling must be one of"
          f" {', '.join(SAMPLING_SCHEDULES)}. Got: {self.scheduled_sampling!r}."
      )
    config_fields.check_between(self, "scheduled_sampling_minimum", 0, 1)
    config_fields.check_not_negative(self, "scheduled_sampling_slope")
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
