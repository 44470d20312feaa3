"""Configurations to start from, by name; see `train --preset`.

Each function's docstring is what `--help` says of it. What a preset does not
name has the default, which is the released configuration.
"""

from collections.abc import Callable
import inspect
import textwrap
from typing import Any

# An Inception v3 of a quarter of the width, that sees 107 of 124 pixels. It is
# trained for minutes, not weeks, so its moving averages must follow faster.
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
  r"""The released code's training, a million steps and two million more.

  bazel-bin/im2txt/train --preset=original \
    --input_feature_pattern="${MSCOCO_DIR}/features/train-*" \
    --input_file_pattern="${MSCOCO_DIR}/train-?????-of-00256" \
    --inception_checkpoint_file="${INCEPTION_DIR}/inception_v3.ckpt" \
    --train_dir="${MODEL_DIR}/train" \
    --train_inception_after_steps=1000000 --number_of_steps=3000000
  """
  return {}


def paper2016() -> dict[str, Any]:
  r"""What the paper (arXiv 1609.06647, section 5) adds to that.

  Scheduled sampling, and fine-tuning after 500,000 steps, for 100,000 more.
  The paper does not tell how fast it samples: here an eighth of the words
  after 251,000 steps, a quarter after 276,000, and then no more.

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
  r"""A model of half the size, for a few processor cores and some hours.

  Adam, larger batches of captions of like length, from cached features alone.

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
  r"""The quickstart's: a world of 17 words, and a small encoder of its own.

  bazel-bin/im2txt/train --preset=quickstart \
    --input_feature_pattern="${QUICKSTART_DIR}/features/train-*" \
    --inception_checkpoint_file="${QUICKSTART_DIR}/encoder" \
    --train_dir="${QUICKSTART_DIR}/model/train" --number_of_steps=2000
  """
  # So few words and units need larger initial values than a full-size decoder
  # for the image to be heard among them; and there is too little to remember
  # for dropout to be of use.
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
  """What `--help` says of the presets."""
  sections = []
  for name, preset in PRESETS.items():
    text = textwrap.indent(inspect.getdoc(preset) or "", "    ")
    sections.append(f"  {name}\n{text}\n")
  return "\n".join(sections)
