r"""Encodes each distinct image of a data set once, and caches its features.

    bazel-bin/im2txt/cache_image_features \
      --input_file_pattern="${MSCOCO_DIR}/train-?????-of-00256" \
      --inception_checkpoint_file="${INCEPTION_DIR}/inception_v3.ckpt" \
      --output_dir="${MSCOCO_DIR}/features" --output_prefix=train

    bazel-bin/im2txt/train \
      --input_feature_pattern="${MSCOCO_DIR}/features/train-?????-of-00008" \
      --inception_checkpoint_file="${INCEPTION_DIR}/inception_v3.ckpt" ...

While the encoder is frozen, its features of an image are the same in every
epoch, so training need not compute them again and is many times faster. The
features are those of the central crop; --views_per_image adds features of crops
that are distorted as in training.

After an interruption, the same command resumes and writes the same files as an
uninterrupted run.
"""

from absl import app
from absl import flags

from im2txt import common_flags
from im2txt.runtime import program
from im2txt.runtime import progress

_INPUT_FILE_PATTERN = flags.DEFINE_string(
    "input_file_pattern",
    "",
    "Comma-separated patterns of TFRecord files with images and captions, made"
    " by build_mscoco_data.",
)
_ALLOW_MISSING_SHARDS = flags.DEFINE_flag(common_flags.allow_missing_shards())
_INCEPTION_CHECKPOINT_FILE = flags.DEFINE_string(
    "inception_checkpoint_file",
    "",
    "Checkpoint of Inception v3 with the encoder's weights, or another value"
    " that train accepts for this flag. A config.json beside the checkpoint is"
    " used.",
)
_CHECKPOINT_PATH = flags.DEFINE_string(
    "checkpoint_path",
    "",
    "Instead of --inception_checkpoint_file: a checkpoint of a captioning"
    " model, or its folder, with the encoder's weights and the configuration.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "", "Folder to write the features to."
)
_OUTPUT_PREFIX = flags.DEFINE_string(
    "output_prefix", "train", "Prefix of the names of the output files."
)
_OUTPUT_SHARDS = flags.DEFINE_integer(
    "output_shards", 8, "Number of output files.", lower_bound=1
)
_VIEWS_PER_IMAGE = flags.DEFINE_integer(
    "views_per_image",
    1,
    "Number of views to encode per image: the central crop, then crops that are"
    " distorted as in training.",
    lower_bound=1,
)
_FEATURE_DTYPE = flags.DEFINE_enum(
    "feature_dtype",
    "float16",
    ["float16", "float32"],
    "Type of the stored features; float16 takes half the space.",
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Overrides of the configuration, such as image_height=299,seed=1. An"
    " unknown field is an error that lists all fields.",
)


def main(argv: list[str]) -> None:
  """Caches features as configured by the flags."""
  del argv
  program.require(_INPUT_FILE_PATTERN, _OUTPUT_DIR)
  weights = _INCEPTION_CHECKPOINT_FILE.value, _CHECKPOINT_PATH.value
  if all(weights) or not any(weights):
    raise app.UsageError(
        "Give either --inception_checkpoint_file or --checkpoint_path."
    )
  # Imported here, so that --help and flag errors don't wait for TensorFlow.
  program.import_tensorflow()
  from im2txt import configuration
  from im2txt import networks
  from im2txt.checkpointing import encoder_weights
  from im2txt.data import caption_data
  from im2txt.data import distinct_images
  from im2txt.data import feature_cache
  from im2txt.ops import inputs
  from im2txt.ops import tfrecords

  files = inputs.input_files(
      _INPUT_FILE_PATTERN.value,
      allow_missing_shards=_ALLOW_MISSING_SHARDS.value,
  )
  source = weights[0] or weights[1]
  model_config, training_config = configuration.apply_overrides(
      *encoder_weights.load_config(source), _CONFIG_OVERRIDES.value
  )
  encoder = networks.make_encoder(model_config)
  encoder_weights.restore(encoder, source)
  data = caption_data.CaptionData(files=files, config=model_config)
  num_records = tfrecords.count_records(files)
  with progress.bar("Reading captions", num_records) as bar:
    images = distinct_images.scan(data, progress=bar.update)
  with progress.bar("Encoding images", len(images.image_ids)) as bar:
    feature_cache.write(
        data,
        images,
        encoder,
        output_dir=_OUTPUT_DIR.value,
        prefix=_OUTPUT_PREFIX.value,
        options=feature_cache.Options(
            num_views=_VIEWS_PER_IMAGE.value,
            num_shards=_OUTPUT_SHARDS.value,
            seed=training_config.seed,
            dtype=_FEATURE_DTYPE.value,
        ),
        progress=bar.update,
    )
  print(
      f"Wrote the features of {len(images.image_ids)} images with"
      f" {num_records} captions to {_OUTPUT_DIR.value}."
  )


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
