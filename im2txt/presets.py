"""Named configurations, for `train --preset`.

Each function returns the values of one preset by field, and its docstring is
the text of `train --help` for it. Other fields have their defaults, which are
those of the released configuration.
"""

from collections.abc import Callable
import inspect
import textwrap
from typing import Any

# An Inception v3 of a quarter of the width, for crops of 107 from 124 pixels.
# It is trained for minutes, not weeks, so its moving averages decay faster.
QUICKSTART_ENCODER = {
    "image_height": 107,
    "image_width": 107,
    "resize_height": 124,
    "resize_width": 124,
    "inception_depth_multiplier": 0.25,
    "batch_norm_decay": 0.98,
    "inception_dropout_keep_prob": 1.0,
}


def original() -> dict[str, Any]:
  r"""Trains as the released code does: after a million steps, the encoder too.

  bazel-bin/im2txt/train --preset=original \
    --input_feature_pattern="${MSCOCO_DIR}/features/train-*" \
    --input_file_pattern="${MSCOCO_DIR}/train-?????-of-00256" \
    --inception_checkpoint_file="${INCEPTION_DIR}/inception_v3.ckpt" \
    --train_dir="${MODEL_DIR}/train" \
    --train_inception_after_steps=1000000 --number_of_steps=3000000
  """
  return {}


def paper2016() -> dict[str, Any]:
  r"""Trains as in the paper (arXiv 1609.06647, section 5).

  Uses scheduled sampling, and trains the encoder too for 100,000 steps after
  500,000 steps. The paper does not specify the rate of sampling. Here, an
  eighth of the words is sampled after 251,000 steps, and a quarter from step
  276,000 on.

  bazel-bin/im2txt/train --preset=paper2016 \
    --input_feature_pattern="${MSCOCO_DIR}/features/train-*" \
    --input_file_pattern="${MSCOCO_DIR}/train-?????-of-00256" \
    --inception_checkpoint_file="${INCEPTION_DIR}/inception_v3.ckpt" \
    --train_dir="${MODEL_DIR}/train" \
    --train_inception_after_steps=500000 --number_of_steps=600000
  """
  return {
      "scheduled_sampling": "inverse_sigmoid",
      # An eighth after k * log(k / 7) steps, a quarter after k * log(k / 3).
      "scheduled_sampling_k": 30000.0,
      "scheduled_sampling_minimum": 0.75,
  }


def cpu_small() -> dict[str, Any]:
  r"""Trains a decoder of half the width, in some hours on a few CPU cores.

  Uses Adam, larger batches of captions with similar lengths, and cached
  features only.

  bazel-bin/im2txt/train --preset=cpu_small \
    --input_feature_pattern="${MSCOCO_DIR}/features/train-*" \
    --inception_checkpoint_file="${INCEPTION_DIR}/inception_v3.ckpt" \
    --train_dir="${MODEL_DIR}/train" --number_of_steps=20000
  """
  return {
      "batch_size": 64,
      "bucket_batches": 20,
      "embedding_size": 256,
      "num_lstm_units": 256,
      "optimizer": "adam",
      "initial_learning_rate": 0.001,
      "train_inception_learning_rate": 0.00001,
  }


def quickstart() -> dict[str, Any]:
  r"""Trains the quickstart's model: 17 words, and its own small encoder.

  bazel-bin/im2txt/train --preset=quickstart \
    --input_feature_pattern="${QUICKSTART_DIR}/features/train-*" \
    --inception_checkpoint_file="${QUICKSTART_DIR}/encoder" \
    --train_dir="${QUICKSTART_DIR}/model/train" --number_of_steps=2000
  """
  # With so few words and units, the initial values must be larger than in a
  # full-size decoder for the image to have an effect. Dropout does not help,
  # because there is hardly anything to overfit.
  return {
      **QUICKSTART_ENCODER,
      "vocab_size": 32,
      "embedding_size": 128,
      "num_lstm_units": 256,
      "initializer_scale": 0.3,
      "lstm_dropout_keep_prob": 1.0,
      "optimizer": "adam",
      "initial_learning_rate": 0.005,
      "train_inception_learning_rate": 0.00001,
      "num_epochs_per_decay": 2.0,
      "save_summaries_secs": 15.0,
  }


PRESETS: dict[str, Callable[[], dict[str, Any]]] = {
    preset.__name__: preset
    for preset in (original, paper2016, cpu_small, quickstart)
}


def describe() -> str:
  """Returns the presets' section of `train --help`."""
  sections = []
  for name, preset in PRESETS.items():
    text = textwrap.indent(inspect.getdoc(preset) or "", "    ")
    sections.append(f"  {name}\n{text}\n")
  return "\n".join(sections)
