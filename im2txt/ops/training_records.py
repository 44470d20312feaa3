"""The records of image-caption pairs in the order in which training uses them.

Apart from `inputs`, which makes batches of them, since whoever looks for a
corrupt record has to know which are next.
"""

from collections.abc import Sequence

import tensorflow as tf

from im2txt.ops import records
from im2txt.ops import training_order


def training_records(
    files: Sequence[str],
    order: training_order.TrainingOrder,
    *,
    caption_feature: str = "image/caption_ids",
) -> tf.data.Dataset:
  """The records in the order in which `inputs.training_batches` uses them.

  Args:
    files: Names of TFRecord files.
    order: Theirs.
    caption_feature: The feature list that holds the word ids.

  Returns:
    An infinite Dataset of `records.Record`, those of the order's shard.

  Raises:
    ValueError: As of `TrainingOrder.examples`.
  """

  def lengths(window: records.Record) -> tf.Tensor:
    ids = tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True)
    *_, num_ids = tf.io.parse_sequence_example(
        window.serialized, sequence_features={caption_feature: ids}
    )
    return num_ids[caption_feature]

  return order.examples(
      files, read=records.read, count=records.count_records, lengths=lengths
  )
