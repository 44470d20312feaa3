"""Self-critical sequence training (Rennie et al., arXiv 1612.00563).

A trained model is trained further to maximize CIDEr directly. For each image

    features -> samples from the model -> CIDEr r of each
             -> greedy caption         -> CIDEr b, the baseline

The loss is the mean over all sampled words of (r - b) * -log p(word), so a
sample that is better than the baseline becomes more likely. With more than one
sample per image, the baseline is the mean reward of the image's other samples
(Luo, arXiv 2003.09971), and no greedy caption is needed.

The reward counts the end word as a word, in samples and references, as the
authors of the paper do. Without it, captions learn to end in "on a". The
unknown word matches no word of a reference. The decoder has no dropout, neither
in sampling nor in the loss, so that the gradient is that of the distribution
that samples come from.
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

# Maximum number of words of a sample, as in the search for captions.
_MAX_LENGTH = 20

# The ranks of words in the vocabulary and in captions of photographs have a
# correlation of 0.5 or more; in a wrong vocabulary, of 0 +- 1 / sqrt(words).
_MIN_WORDS_TO_COMPARE = 50
_MIN_CORRELATION = 0.2

_HINT = "--vocab_file must be the word_counts.txt written with the records."


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageData(caption_data.CaptionData):
  """The data of a run that trains on distinct images.

  Attributes:
    split: The distinct images, with their captions.
  """

  split: distinct_images.Split

  def training_batches(
      self, *, seed: int, start_step: int, feature_size: int
  ) -> tf.data.Dataset:
    """Returns `ImageBatch`es with each image once per epoch."""
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
    """See `CaptionData.explain`, which can't use these batches and order."""
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
    The same records with their distinct images.

  Raises:
    ValueError: If the vocabulary has more words than the model or is not that
      of the captions, or if a record is not valid or there is none.
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
    caption: The word ids, including start and end word.
    words: The words between these; empty if the record has no words.
    image_id: Id of the image, for the message.
    vocab: The vocabulary.
  """
  num_words = len(vocab.reverse_vocab)
  is_whole = [*caption[:1], *caption[-1:]] == [vocab.start_id, vocab.end_id]
  if not is_whole or max(caption) >= num_words:
    raise ValueError(
        f"{_does_not_match(vocab)}: a caption of image {image_id} has the word"
        f" ids {list(caption)}, but the vocabulary has {num_words} words,"
        f" starts captions with {vocab.start_id} and ends them with"
        f" {vocab.end_id}. {_HINT}"
    )
  if words and list(map(vocab.word_to_id, words.split(" "))) != caption[1:-1]:
    raise ValueError(
        f"{_does_not_match(vocab)}: a caption of image {image_id} is {words!r}"
        " in the records, but its word ids mean"
        f" {' '.join(map(vocab.id_to_word, caption[1:-1]))!r} in the"
        f" vocabulary. {_HINT}"
    )


def _check_frequencies(
    captions: Iterable[Sequence[int]], vocab: vocabulary.Vocabulary
) -> None:
  """Raises a ValueError if word frequencies do not match a vocabulary.

  Cached features contain word ids only. Words that are frequent in one set of
  captions are frequent in others, so the ranks of words must correlate unless
  the lines of the vocabulary are in another order.
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
        f"{_does_not_match(vocab)}: its frequent words are not the frequent"
        f" words of the captions. {_HINT}"
    )


def _does_not_match(vocab: vocabulary.Vocabulary) -> str:
  return f"The vocabulary {vocab.vocab_file} does not match the captions"


class SelfCritical:
  """The objective of self-critical training; see `trainers.Objective`.

  Attributes:
    name: See `trainers.Objective`.
    learning_rate: The configured learning rate.
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
      vocab: The vocabulary.
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
    """Returns the reward per caption; a float32 Tensor [num_captions]."""
    rewards = tf.numpy_function(
        lambda *arguments: self._reward(*arguments).astype(np.float32),
        [image_ids, captions.word_ids, captions.lengths],
        tf.float32,
        stateful=False,
    )
    return tf.ensure_shape(rewards, image_ids.shape)

  def _means_of_others(self, rewards: tf.Tensor) -> tf.Tensor:
    """Returns, per sample, the mean reward of the image's other samples."""
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
