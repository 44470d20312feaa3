"""Reads image-caption pairs in batches, and explains errors in the input."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any
from typing import TypeVar

from absl import logging
import tensorflow as tf

from im2txt import configuration
from im2txt import networks
from im2txt.data import dataset_facts
from im2txt.ops import example_order
from im2txt.ops import feature_inputs
from im2txt.ops import inputs
from im2txt.ops import tfrecords

# More than the number of batches that the pipeline prepares ahead of a step.
_SUSPECT_BATCHES = 16

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaptionData:
  """Files with image-caption pairs, of encoded images or cached features.

  Attributes:
    files: Names of TFRecord files.
    config: The model's configuration.
    are_features: Whether the files contain cached features, as written by
      `cache_image_features`, instead of images.
    shard: The part of each training batch that this process reads.
  """

  files: Sequence[str]
  config: configuration.ModelConfig
  are_features: bool = False
  shard: example_order.Shard = example_order.WHOLE

  def training_batches(
      self, *, seed: int, start_step: int, feature_size: int
  ) -> tf.data.Dataset:
    """Returns an endless sequence of shuffled batches.

    The batch size of the configuration is the total over all processes.

    Args:
      seed: Seed for the order and the distortions.
      start_step: The number of steps to skip; 0 for a new run.
      feature_size: The number of features per image.

    Returns:
      A Dataset of `inputs.Batch`.
    """
    order = self._order(seed, start_step)
    if self.are_features:
      return feature_inputs.training_feature_batches(
          self.files, order, feature_size=feature_size
      )
    return inputs.training_batches(
        self.files,
        order,
        num_preprocess_threads=self.config.num_preprocess_threads,
        **self.image_arguments(),
    )

  def evaluation_batches(self, *, feature_size: int) -> tf.data.Dataset:
    """Returns batches with each pair once, in order.

    Args:
      feature_size: The number of features per image.

    Returns:
      A finite Dataset of `inputs.Batch`.
    """
    config = self.config
    if self.are_features:
      return feature_inputs.evaluation_feature_batches(
          self.files,
          feature_size=feature_size,
          batch_size=config.batch_size,
      )
    return inputs.evaluation_batches(
        self.files,
        batch_size=config.batch_size,
        **self.image_arguments(),
    )

  @functools.cached_property
  def num_pairs(self) -> int:
    """The number of pairs.

    Files of features, and files on cloud paths, are read once to count it.

    Raises:
      ValueError: If a file can't be used. The message names it.
    """
    if self.are_features:
      layout = feature_inputs.read_layout(self.files)
      return feature_inputs.count_pairs(self.files, layout)
    return tfrecords.count_records(self.files)

  def explained(self, elements: Iterable[_T]) -> Iterator[_T]:
    """Yields elements that are read from the files, and explains errors.

    Args:
      elements: A Dataset, or an iterable that reads one.

    Yields:
      Each element, in order.

    Raises:
      ValueError: If reading fails. The message names the file.
    """
    try:
      yield from elements
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
      raise self.explain(error) from error

  def explain(
      self,
      error: tf.errors.OpError,
      *,
      batch: inputs.Batch | None = None,
      seed: int = 0,
      start_step: int | None = None,
  ) -> Exception:
    """Finds the cause of an error in the files.

    Args:
      error: The error that TensorFlow raised, which names no file.
      batch: The batch that failed after it was read; None if reading failed.
      seed: The seed that was passed to `training_batches`.
      start_step: The training step that failed; None in evaluation.

    Returns:
      An error that names the cause, or `error` if the files are not the cause.
    """
    if batch is not None:
      largest = max(
          int(tf.reduce_max(batch.input_seqs)),
          int(tf.reduce_max(batch.target_seqs)),
      )
      return self.unknown_word(largest) or error
    logging.info("Looking for the cause in the input: %s", error.message)
    if self.are_features:
      return feature_inputs.find_corrupt_record(self.files) or error
    if feature_inputs.are_features(self.files):
      return ValueError(
          f"{self.files[0]} contains cached features instead of images. Give"
          " such files as --input_feature_pattern."
      )
    suspects = None
    if start_step is not None:
      suspects = inputs.training_records(
          self.files,
          self._order(seed, start_step),
          caption_feature=self.config.caption_feature_name,
      ).take(_SUSPECT_BATCHES * self.config.batch_size)
    return (
        inputs.find_corrupt_record(
            self.files, suspects=suspects, **self.image_arguments()
        )
        or error
    )

  def unknown_word(self, largest: int) -> ValueError | None:
    """Returns an error if the largest word id is unknown to the model."""
    if largest < self.config.vocab_size:
      return None
    # The data set includes the unknown word, which may not be in these files.
    fields = dataset_facts.config_fields(
        self.files, are_features=self.are_features
    )
    needed = max(largest + 1, fields.get("vocab_size", 0))
    return ValueError(
        f"The captions contain word id {largest}, but the model has a"
        f" vocab_size of {self.config.vocab_size}. Start a new run with"
        f" --config_overrides=vocab_size={needed}."
    )

  def check_captions(self) -> None:
    """Checks, without reading the records, that the captions can be used.

    Raises:
      ValueError: If cached features have no captions, or the data set has more
        words than the model according to its metadata; see `dataset_facts`.
    """
    if self.are_features:
      feature_inputs.check_captions(self.files)
    largest = dataset_facts.largest_word_id(
        self.files, are_features=self.are_features
    )
    if largest is not None and (error := self.unknown_word(largest)):
      raise error

  def image_arguments(self) -> dict[str, Any]:
    """Returns the arguments of `ops.inputs` for reading pairs."""
    return {
        "preprocess": networks.preprocess_fn(self.config),
        "image_feature": self.config.image_feature_name,
        "caption_feature": self.config.caption_feature_name,
    }

  def _order(self, seed: int, start_step: int) -> example_order.TrainingOrder:
    """Returns the order of the training examples from a step on."""
    return example_order.TrainingOrder(
        batch_size=self.config.batch_size,
        seed=seed,
        start_example=start_step * self.config.batch_size,
        shuffle_buffer_size=self.config.shuffle_buffer_size,
        bucket_batches=self.config.bucket_batches,
        shard=self.shard,
    )
