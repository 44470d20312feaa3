r"""Trains an image encoder on labelled images.

    bazel-bin/im2txt/pretrain_encoder \
      --labels_file=scenes/labels.json --output_dir=encoder \
      --number_of_steps=1000 \
      --config_overrides=inception_depth_multiplier=0.25,...

Use it where the ImageNet encoder does not fit the images, as for the small
drawings of the quickstart. Pass the checkpoint to `cache_image_features` and
`train` as --inception_checkpoint_file. The format of `labels.json`:

    {"weights": {"cat": 1.0, "dog": 1.0},
     "images": [{"file_name": "images/1.jpg", "labels": ["dog"]}, ...]}
"""

import dataclasses

from absl import flags

from im2txt.runtime import program
from im2txt.runtime import progress

_LABELS_FILE = flags.DEFINE_string(
    "labels_file", "", "JSON file of images, their labels and label weights."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "", "Folder to write the checkpoint to."
)
_NUMBER_OF_STEPS = flags.DEFINE_integer(
    "number_of_steps", 1000, "Number of training steps.", lower_bound=1
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Overrides of the configuration, such as batch_size=16. The defaults here"
    " include optimizer=adam,initial_learning_rate=0.003. An unknown field is"
    " an error that lists all fields.",
)

# Number of steps over which the progress bar's metrics are averaged, roughly.
_SMOOTHING = 20


def main(argv: list[str]) -> None:
  """Trains an encoder as configured by the flags."""
  del argv
  program.require(_LABELS_FILE, _OUTPUT_DIR)
  # Imported here, so that --help and flag errors don't wait for TensorFlow.
  program.import_tensorflow()
  import tensorflow as tf

  from im2txt import configuration
  from im2txt.checkpointing import checkpoints
  from im2txt.checkpointing import saved_config
  from im2txt.shapes import encoder_pretraining

  model_config, training_config = configuration.apply_overrides(
      configuration.ModelConfig(),
      dataclasses.replace(
          configuration.TrainingConfig(),
          optimizer="adam",
          initial_learning_rate=0.003,
      ),
      _CONFIG_OVERRIDES.value,
  )
  num_steps = _NUMBER_OF_STEPS.value
  images = encoder_pretraining.load_labels(_LABELS_FILE.value)
  batches = encoder_pretraining.training_batches(
      images, model_config, seed=training_config.seed
  )
  trainer = encoder_pretraining.LabelTrainer(
      model_config,
      training_config,
      label_weights=images.weights,
      num_steps=num_steps,
  )
  loss = share_right = 0.0
  with progress.bar("Training the encoder", num_steps) as bar:
    for step, batch in enumerate(batches.take(num_steps)):
      metrics = trainer.step(*batch)
      kept = min(step, _SMOOTHING - 1) / _SMOOTHING
      loss = kept * loss + (1 - kept) * float(metrics.loss)
      share_right = kept * share_right + (1 - kept) * float(metrics.share_right)
      bar.set_postfix_str(
          f"loss {loss:.2f}, {share_right:.0%} right", refresh=False
      )
      bar.update()
  tf.io.gfile.makedirs(_OUTPUT_DIR.value)
  saved_config.save(_OUTPUT_DIR.value, model_config, training_config)
  checkpoint = checkpoints.Saver(
      trainer.encoder.variables_by_name, _OUTPUT_DIR.value, max_to_keep=1
  ).save(num_steps)
  print(f"Wrote the encoder to {checkpoint}.")


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
