"""The configuration of the model and its input."""

import dataclasses

from im2txt.config import config_fields


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

  # Even and odd threads of the original distorted colours in two different
  # orders, so half the training images go each way. Images are numbered by
  # turns for that; all cores prepare them, however many there are.
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

  # Whether evaluation, captioning and export take the weights' averages, which
  # training with ema_decay keeps, in place of the weights themselves.
  use_ema: bool = False

  def __post_init__(self):
    config_fields.check_types(self)
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
      config_fields.check_positive(self, name)
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
