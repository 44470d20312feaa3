"""Training in bfloat16, where that is precise enough, and float32 elsewhere.

TensorFlow's graph optimizer does it: convolutions and matrix products take and
give bfloat16, casts are put where they are needed, and sums, the statistics of
batch normalisation and the loss stay in float32. Variables do too, so that
checkpoints are the same as ever.
"""

import tensorflow as tf

from im2txt import precision


def use(name: str) -> None:
  """Makes all graphs of this process compute in a precision.

  Args:
    name: One of `precision.PRECISIONS`.

  Raises:
    ValueError: If it is none of them.
  """
  precision.check(name)
  tf.config.optimizer.set_experimental_options(
      {"auto_mixed_precision_onednn_bfloat16": name == "bfloat16"}
  )
