"""Self-critical sequence training (Rennie et al., arXiv 1612.00563).

A trained model is trained further to maximize CIDEr itself. For each image

    features -> samples drawn from the model -> CIDEr r of each
             -> greedy caption               -> CIDEr b, the baseline

and a sample's words get likelier by r - b, or less likely if that is negative:
the loss is the mean over all sampled words of (r - b) * -log p(word). With more
than one sample an image, the mean reward of its other samples is the baseline
(Luo, arXiv 2003.09971), and no greedy caption is needed.

The reward counts the end word as a word, of samples and of references, as the
paper's authors do: else captions learn to end in "on a". The unknown word is
never right. There is no dropout in the decoder, neither while drawing nor in
the loss, so that the gradient is that of the very distribution drawn from.
"""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import functools
import itertools
from typing import Any

from absl import logging
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt import show_and_tell_model
from im2txt.data import caption_data
from im2txt.data import distinct_images
from im2txt.inference_utils import vocabulary
from im2txt.ops import image_inputs
from im2txt.ops import inputs
from im2txt.ops import sampling
from im2txt.training import cider_reward
from im2txt.training import xla

# Words at which samples are cut off; the search for captions stops there too.
_MAX_LENGTH = 20

# Ranks of words in a right vocabulary and in captions of photographs correlate
# by 0.5 and more; those in another order by 0, give or take 1 / sqrt(words).
_MIN_WORDS_TO_COMPARE = 50
_MIN_CORRELATION = 0.2

_USE_THE_OTHER = (
    "Give as --vocab_file the word_counts.txt that was written with the"
    " records."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageData(caption_data.CaptionData):
  """Files as `CaptionData` has them, of which training takes images alone.

  Attributes:
    split: The distinct images, with their captions.
  """

  split: distinct_images.Split

  def training_batches(
      self, *, seed: int, start_step: int, feature_size: int
  ) -> tf.data.Dataset:
    """As `CaptionData`'s, but each image once an epoch: `ImageBatch`es."""
    order = image_inputs.Order(
        files=self.files,
        is_first=self.split.is_first,
        batch_size=self.config.batch_size,
        seed=seed,
        start_step=start_step,
        shuffle_buffer_size=self.config.shuffle_buffer_size,
    )
    if self.are_features:
      return image_inputs.training_feature_batches(
          order, feature_size=feature_size
      )
    return image_inputs.training_image_batches(
        order,
        num_preprocess_threads=self.config.num_preprocess_threads,
        **self.image_arguments(),
    )

  def explain(
      self,
      error: tf.errors.OpError,
      *,
      batch: Any = None,
      seed: int = 0,
      start_step: int | None = None,
  ) -> Exception:
    """As `CaptionData`'s, which knows neither these batches nor their order."""
    del batch, seed, start_step
    return super().explain(error)


def read_images(
    data: caption_data.CaptionData, vocab: vocabulary.Vocabulary
) -> ImageData:
  """Finds the distinct images of records and their captions.

  Args:
    data: The records.
    vocab: The vocabulary that they were written with.

  Returns:
    The same records.

  Raises:
    ValueError: If the vocabulary has more words than the model or is not that
      of the captions, a record can't be used, or there is none.
  """
  vocab.check_fits(data.config.vocab_size)
  logging.info("Reading the captions of %d files.", len(data.files))
  split = distinct_images.scan(data, None)
  for image_id, captions in split.word_ids.items():
    # Cached features have no words.
    references = split.references[image_id] or [""] * len(captions)
    for caption, words in zip(captions, references, strict=True):
      _check_caption(caption, words, image_id, vocab)
  _check_frequencies(itertools.chain(*split.word_ids.values()), vocab)
  logging.info("Found %d images.", len(split.image_ids))
  return ImageData(
      files=data.files,
      config=data.config,
      are_features=data.are_features,
      split=split,
  )


def _check_caption(
    caption: Sequence[int],
    words: str,
    image_id: int,
    vocab: vocabulary.Vocabulary,
) -> None:
  """Raises a ValueError if word ids are not those of a vocabulary.

  Args:
    caption: The word ids, with start and end word.
    words: The words between these; empty if the record does not have them.
    image_id: Whose caption it is, for the message.
    vocab: The vocabulary.
  """
  num_words = len(vocab.reverse_vocab)
  is_whole = [*caption[:1], *caption[-1:]] == [vocab.start_id, vocab.end_id]
  if not is_whole or max(caption) >= num_words:
    raise ValueError(
        f"{_not_of_the_captions(vocab)}: one of image {image_id} has the word"
        f" ids {list(caption)}, but it has {num_words} words, captions begin"
        f" with {vocab.start_id} and end with {vocab.end_id}. {_USE_THE_OTHER}"
    )
  if words and list(map(vocab.word_to_id, words.split(" "))) != caption[1:-1]:
    raise ValueError(
        f"{_not_of_the_captions(vocab)}: the records have {words!r} of image"
        f" {image_id}, which by their word ids is"
        f" {' '.join(map(vocab.id_to_word, caption[1:-1]))!r}."
        f" {_USE_THE_OTHER}"
    )


def _check_frequencies(
    captions: Iterable[Sequence[int]], vocab: vocabulary.Vocabulary
) -> None:
  """Raises a ValueError if frequent ids are not a vocabulary's first words.

  Cached features hold ids alone. Whatever captions a vocabulary was made of,
  the more frequent of its words are the more frequent ones of any captions of
  photographs; not so if the lines of its file are in another order.
  """
  occurrences = np.bincount(list(itertools.chain.from_iterable(captions)))
  ids = np.flatnonzero(occurrences[: len(vocab.counts)])
  if len(ids) < _MIN_WORDS_TO_COMPARE or not any(vocab.counts):
    return
  ranks = [
      values.argsort().argsort()
      for values in (occurrences[ids], np.array(vocab.counts)[ids])
  ]
  correlation = np.asarray(np.corrcoef(np.stack(ranks)))[0, 1]
  if correlation < _MIN_CORRELATION:
    raise ValueError(
        f"{_not_of_the_captions(vocab)}: the words that it has as frequent are"
        f" not those that are frequent there. {_USE_THE_OTHER}"
    )


def _not_of_the_captions(vocab: vocabulary.Vocabulary) -> str:
  return f"The vocabulary {vocab.vocab_file} is not that of the captions"


class SelfCritical:
  """The objective; see `trainers.Objective`.

  Attributes:
    name: See `trainers.Objective`.
    learning_rate: As configured.
  """

  name = "self_critical"

  def __init__(
      self,
      data: ImageData,
      vocab: vocabulary.Vocabulary,
      config: configuration.TrainingConfig,
  ):
    """Counts the n-grams of the references.

    Args:
      data: The images to train on.
      vocab: Tells the ids of the special words.
      config: The training configuration.
    """
    self.learning_rate = config.self_critical_learning_rate
    self._num_samples = config.self_critical_samples
    self._vocab = vocab
    self._reward = cider_reward.CiderReward(
        {
            image_id: [caption[1:] for caption in captions]
            for image_id, captions in data.split.word_ids.items()
        },
        vocab_size=data.config.vocab_size,
        unknown_id=vocab.unk_id,
    )

  def losses(
      self,
      model: show_and_tell_model.ShowAndTellModel,
      features: tf.Tensor,
      batch: image_inputs.ImageBatch,
      *,
      seed: tf.Tensor,
      jit_compile: bool = False,
  ) -> show_and_tell_model.Losses:
    """Samples captions and returns their losses, weighted by their rewards.

    Args:
      model: The model, in mode "train".
      features: Features of the batch's images; a float32 Tensor of shape
        [batch_size, feature_size].
      batch: The batch, which holds the ids of the images.
      seed: Seed of the samples; an integer Tensor of shape [2].
      jit_compile: Whether XLA compiles everything but the rewards.

    Returns:
      The `Losses`; those of words are of all samples, row-major.
    """
    # The samples of an image follow each other.
    repeated = tf.repeat(features, self._num_samples, axis=0)
    sample_seed = tf.random.experimental.stateless_split(seed)[0]
    samples = self._draw(model, repeated, sample_seed, jit_compile)
    image_ids = tf.repeat(batch.image_ids, self._num_samples)
    rewards = self._rewards(image_ids, samples)
    measures = {"reward": rewards}
    if self._num_samples > 1:
      baselines = self._means_of_others(rewards)
    else:
      greedy = self._draw(model, features, None, jit_compile)
      baselines = self._rewards(image_ids, greedy)
      measures["baseline"] = baselines
    losses = xla.compiled(
        functools.partial(model.caption_losses, at_padding=jit_compile),
        jit_compile,
    )(
        repeated,
        self._to_batch(repeated, samples, _MAX_LENGTH if jit_compile else None),
        caption_weights=rewards - baselines,
    )
    # The mean of -log p over sampled words: an estimate, in nats.
    measures["entropy"] = losses.batch_loss
    measures["length"] = tf.cast(samples.lengths, tf.float32)
    return losses._replace(
        measures={
            f"self_critical/{name}": tf.reduce_mean(values)
            for name, values in measures.items()
        }
    )

  def _draw(self, model, features, seed, jit_compile) -> sampling.DrawnCaptions:
    """Returns a caption per row of features, without a gradient."""

    def draw(features: tf.Tensor) -> sampling.DrawnCaptions:
      return sampling.draw_captions(
          model.decode_step,
          model.decoder.initial_state(features),
          start_id=self._vocab.start_id,
          end_id=self._vocab.end_id,
          max_length=_MAX_LENGTH,
          seed=seed,
          pad_to_max_length=jit_compile,
      )

    return xla.compiled(draw, jit_compile)(tf.stop_gradient(features))

  def _rewards(self, image_ids, captions) -> tf.Tensor:
    """Of each caption; a float32 Tensor of shape [num_captions]."""
    rewards = tf.numpy_function(
        lambda *arguments: self._reward(*arguments).astype(np.float32),
        [image_ids, captions.word_ids, captions.lengths],
        tf.float32,
        stateful=False,
    )
    return tf.ensure_shape(rewards, image_ids.shape)

  def _means_of_others(self, rewards: tf.Tensor) -> tf.Tensor:
    """Of each sample, the mean reward of the same image's others."""
    by_image = tf.reshape(rewards, [-1, self._num_samples])
    totals = tf.reduce_sum(by_image, axis=1, keepdims=True)
    return tf.reshape((totals - by_image) / (self._num_samples - 1), [-1])

  def _to_batch(self, features, samples, padded_length) -> inputs.Batch:
    """Returns the samples as captions to learn."""
    start_words = tf.fill([tf.shape(features)[0], 1], self._vocab.start_id)
    return inputs.make_batch(
        features,
        tf.concat([start_words, samples.word_ids], axis=1),
        samples.lengths + 1,
        padded_length=padded_length,
    )
