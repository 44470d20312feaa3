"""The Show and Tell model (Vinyals et al., arXiv 1411.4555 and 1609.06647).

    images -> Inception v3 -> features -> image embedding
                                               |
                                              LSTM -> LSTM -> LSTM -> ...
                                                       |       |
                            inputs                    <S>      a
                            targets                    a     wave

The model is an encoder (`ops/image_embedding.py`) and a decoder
(`ops/caption_decoder.py`), with the losses that train them.
"""

from collections.abc import Mapping
import types
from typing import NamedTuple

import tensorflow as tf

from im2txt import configuration
from im2txt import networks
from im2txt.ops import inputs
from im2txt.ops import optimizers

MODES = ("train", "eval", "inference")


class Losses(NamedTuple):
  """Losses of a batch.

  Attributes:
    word_losses: Cross-entropy of each target word, in nats; a float32 Tensor of
      shape [num_words], row-major over the batch's input_mask. If computed at
      padding too, of shape [batch_size * padded_length], with 0 at padding.
    num_words: Number of target words; a float32 scalar.
    regularization_loss: While the encoder is trained, half the sum of squares
      of its kernels times the weight decay, otherwise 0; a float32 scalar.
    smoothed_losses: Training loss of each target word, of the same shape as
      `word_losses` and equal to them unless there is label smoothing or an
      objective that weights them.
    measures: Further metrics of the batch: float32 scalars by TensorBoard tag,
      means over its captions or words.
  """

  word_losses: tf.Tensor
  num_words: tf.Tensor
  regularization_loss: tf.Tensor
  smoothed_losses: tf.Tensor
  measures: Mapping[str, tf.Tensor] = types.MappingProxyType({})

  @property
  def batch_loss(self) -> tf.Tensor:
    """The mean cross-entropy per word, in nats; a float32 scalar."""
    return tf.reduce_sum(self.word_losses) / self.num_words

  @property
  def total_loss(self) -> tf.Tensor:
    """The loss that training minimizes; a float32 scalar."""
    mean = tf.reduce_sum(self.smoothed_losses) / self.num_words
    return mean + self.regularization_loss


class ShowAndTellModel(tf.Module):
  """Encoder and decoder with the variables of a checkpoint.

  Attributes:
    config: The model's configuration.
    mode: "train", "eval" or "inference".
    train_inception: Whether the encoder is trained too.
    encoder: The `ops.image_embedding.ImageEncoder`.
    decoder: The `ops.caption_decoder.CaptionDecoder`.
    global_step: int32 scalar, as the released checkpoints have it.
  """

  def __init__(
      self,
      config: configuration.ModelConfig,
      mode: str,
      train_inception: bool = False,
      *,
      seed: int = 0,
      compute_dtype: tf.DType = tf.float32,
  ):
    """Creates all variables, with initial values.

    Args:
      config: The model's configuration.
      mode: "train" for losses with dropout, "eval" for losses without, or
        "inference" for captions.
      train_inception: Whether to train the encoder as well as the decoder.
        Otherwise the encoder is always in inference mode.
      seed: Seed for the initial values.
      compute_dtype: Data type of convolutions and matrix products; variables,
        statistics and losses are float32.

    Raises:
      ValueError: If `mode` is not one of the three.
    """
    super().__init__(name="show_and_tell_model")
    if mode not in MODES:
      raise ValueError(f"mode must be one of {MODES}. Got: {mode!r}.")
    self.config = config
    self.mode = mode
    self.train_inception = train_inception and self.is_training
    self.encoder = networks.make_encoder(
        config,
        trainable=self.train_inception,
        seed=seed,
        compute_dtype=compute_dtype,
    )
    self.decoder = networks.make_decoder(
        config,
        self.encoder.feature_size,
        seed=seed,
        compute_dtype=compute_dtype,
    )
    self.global_step = tf.Variable(
        0,
        dtype=tf.int32,
        trainable=False,
        name="global_step",
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )

  @property
  def is_training(self) -> bool:
    """Whether `losses` uses dropout."""
    return self.mode == "train"

  @property
  def vocab_size(self) -> int:
    """Number of words in the vocabulary of the model."""
    return self.config.vocab_size

  def checkpoint_variables(self) -> dict[str, tf.Variable]:
    """Returns all 383 variables by their names in released checkpoints."""
    return {
        **self.encoder.variables_by_name,
        **self.decoder.variables_by_name,
        "global_step": self.global_step,
    }

  def trainable_variables_by_name(self) -> dict[str, tf.Variable]:
    """Returns the variables to train, by checkpoint name."""
    return {
        name: variable
        for name, variable in self.checkpoint_variables().items()
        if variable.trainable
    }

  def image_features(
      self, images: tf.Tensor, *, dropout_seed: tf.Tensor | None = None
  ) -> tf.Tensor:
    """Returns the features of images.

    Args:
      images: A float32 Tensor of shape [batch_size, height, width, 3] in
        [-1, 1].
      dropout_seed: An integer Tensor of shape [2], if the encoder is trained.

    Returns:
      A float32 Tensor of shape [batch_size, feature_size].
    """
    if self.mode == "inference":
      return self.encoder(images)
    return self.encoder.features_and_end_points(
        images, dropout_seed=dropout_seed if self.train_inception else None
    )[0]

  def losses(
      self,
      batch: inputs.Batch,
      *,
      dropout_seed: tf.Tensor | None = None,
      label_smoothing: float = 0.0,
      sampling_probability: tf.Tensor | None = None,
  ) -> Losses:
    """Returns the losses of the captions of a batch.

    Must be called inside a `tf.function(autograph=False)`.

    Args:
      batch: Images or image features, with captions.
      dropout_seed: An integer Tensor of shape [2]. Required in the mode "train"
        and ignored in the others, which have no dropout.
      label_smoothing: Share of the target's probability that is spread over all
        words.
      sampling_probability: Probability of scheduled sampling in the mode
        "train"; see `CaptionDecoder.word_logits`.

    Returns:
      The `Losses`.

    Raises:
      ValueError: If `dropout_seed` is missing, or the encoder is to be trained
        on features.
    """
    if not self.is_training:
      dropout_seed = None
    elif dropout_seed is None:
      raise ValueError("The mode 'train' needs a dropout_seed.")
    return self.caption_losses(
        self.batch_features(batch.images, dropout_seed=dropout_seed),
        batch,
        dropout_seed=dropout_seed,
        label_smoothing=label_smoothing,
        sampling_probability=sampling_probability,
    )

  def caption_losses(
      self,
      features: tf.Tensor,
      captions: inputs.Batch,
      *,
      dropout_seed: tf.Tensor | None = None,
      label_smoothing: float = 0.0,
      sampling_probability: tf.Tensor | None = None,
      caption_weights: tf.Tensor | None = None,
      at_padding: bool = False,
  ) -> Losses:
    """Returns the losses of captions, given the features of their images.

    Args:
      features: A float32 Tensor of shape [batch_size, feature_size].
      captions: The captions; the images among them are not used.
      dropout_seed: Seed of the decoder's dropout, an integer Tensor of shape
        [2]; no dropout if None.
      label_smoothing: See `losses`.
      sampling_probability: See `losses`.
      caption_weights: Factors of the losses to minimize, by caption; a float32
        Tensor of shape [batch_size]. 1 if None.
      at_padding: See `CaptionDecoder.word_logits`.

    Returns:
      The `Losses`.
    """
    is_word = captions.input_mask > 0

    def flat(values: tf.Tensor) -> tf.Tensor:
      if at_padding:
        return tf.reshape(values, [-1])
      return tf.boolean_mask(values, is_word)

    logits = self.decoder.word_logits(
        features,
        captions.input_seqs,
        captions.input_mask,
        dropout_seed=dropout_seed,
        sampling_probability=sampling_probability,
        at_padding=at_padding,
    )
    targets = flat(captions.target_seqs)
    word_losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        targets, logits
    )
    smoothed = smoothed_losses(
        word_losses, logits, targets, label_smoothing=label_smoothing
    )
    mask = tf.cast(is_word, tf.float32)
    if caption_weights is not None:
      smoothed *= flat(caption_weights[:, tf.newaxis] * tf.ones_like(mask))
    if at_padding:
      word_losses *= flat(mask)
      smoothed *= flat(mask)
    return Losses(
        word_losses,
        tf.reduce_sum(mask),
        self.regularization_loss(),
        smoothed,
        measures={},  # A `tf.function` can't return the default.
    )

  def batch_features(
      self, images: tf.Tensor, *, dropout_seed: tf.Tensor | None = None
  ) -> tf.Tensor:
    """Returns the features of a batch's images, which may be cached.

    Args:
      images: A float32 Tensor of shape [batch_size, height, width, 3] or, for
        cached features, [batch_size, feature_size].
      dropout_seed: An integer Tensor of shape [2], if the encoder is trained.

    Returns:
      A float32 Tensor of shape [batch_size, feature_size].

    Raises:
      ValueError: If the encoder is to be trained on features.
    """
    if images.shape.rank == 4:
      return self.image_features(images, dropout_seed=dropout_seed)
    if self.train_inception:
      raise ValueError("The encoder can't be trained on cached features.")
    return images

  def preprocess_image(self, encoded_image: tf.Tensor) -> tf.Tensor:
    """Decodes and preprocesses an image as in evaluation.

    Args:
      encoded_image: A scalar string Tensor, the content of an image file.

    Returns:
      A float32 Tensor of shape [height, width, 3] in [-1, 1].
    """
    preprocess = networks.preprocess_fn(self.config)
    return preprocess(encoded_image, is_training=False)

  def initial_states(self, images: tf.Tensor) -> tf.Tensor:
    """Returns the decoder's states before the start word.

    Args:
      images: A float32 Tensor of shape [batch_size, height, width, 3] or, for
        cached features, [batch_size, feature_size].

    Returns:
      A float32 Tensor of shape [batch_size, 2 * num_lstm_units].
    """
    return self.decoder.initial_state(self.batch_features(images))

  def decode_step(
      self, input_ids: tf.Tensor, state: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """See `CaptionDecoder.decode_step`."""
    return self.decoder.decode_step(input_ids, state)

  def regularization_loss(self) -> tf.Tensor:
    """Returns `Losses.regularization_loss`."""
    if not self.train_inception:
      return tf.zeros([])
    return self.config.inception_weight_decay * optimizers.l2_loss(
        self.encoder.regularized_weights()
    )


def smoothed_losses(
    word_losses: tf.Tensor,
    logits: tf.Tensor,
    targets: tf.Tensor,
    *,
    label_smoothing: float,
) -> tf.Tensor:
  """Returns the cross-entropy of each word with its smoothed target.

  With label smoothing (Szegedy et al., arXiv 1512.00567, section 7), a share s
  of the target's probability is spread evenly over all ids of the vocabulary,
  also those without a word. With logits z, target y and unsmoothed loss
  L = log(sum(exp(z))) - z[y], the smoothed loss is

      (1 - s) * L + s * (log(sum(exp(z))) - mean(z)) = L + s * (z[y] - mean(z))

  Args:
    word_losses: A float32 Tensor of shape [num_words]; the unsmoothed losses.
    logits: A float32 Tensor of shape [num_words, vocab_size].
    targets: An integer Tensor of shape [num_words].
    label_smoothing: The share s; with 0 the losses are returned unchanged.

  Returns:
    A float32 Tensor of shape [num_words].
  """
  if not label_smoothing:
    return word_losses
  target_logits = tf.gather(logits, targets, batch_dims=1)
  return word_losses + label_smoothing * (
      target_logits - tf.reduce_mean(logits, axis=1)
  )
