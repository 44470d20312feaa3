r"""Measures the way from records to batches, without any training.

    bazel-bin/benchmarks/input_pipeline

"images" decodes, resizes, crops and distorts an image for each caption, as
phase 1 and 2 want; "features" reads what `cache_image_features` made instead.
The data are made up; give --input_file_pattern and --input_feature_pattern for
real ones.
"""

from collections.abc import Sequence
import functools
import tempfile

from absl import flags

from benchmarks import measure
from benchmarks import training_inputs
from im2txt.runtime import program

flags.adopt_module_key_flags(training_inputs)
_BATCHES = flags.DEFINE_integer(
    "batches",
    10,
    "Batches of a round, which includes filling the shuffle buffer; of features"
    " fifty times as many.",
    lower_bound=1,
)
_ROUNDS = flags.DEFINE_integer(
    "rounds", 5, "How many rounds of each variant count.", lower_bound=1
)

_BUCKET_BATCHES = 16


def main(argv: Sequence[str]) -> None:
  """Measures and prints a table."""
  del argv
  variants = []
  with tempfile.TemporaryDirectory() as folder:
    for name, are_features in (("images", False), ("features", True)):
      make = functools.partial(
          make_run,
          training_inputs.files(folder, are_features=are_features),
          are_features=are_features,
          num_batches=_BATCHES.value * (50 if are_features else 1),
      )
      for kind, bucket_batches in (("", 1), (", bucketed", _BUCKET_BATCHES)):
        overrides = training_inputs.overrides(bucket_batches=bucket_batches)
        variants.append(
            measure.Variant(
                name + kind, functools.partial(make, overrides=overrides)
            )
        )
    results = measure.compare(variants, rounds=_ROUNDS.value)
  measure.print_table(results, unit="pair")


def make_run(
    files: Sequence[str],
    *,
    are_features: bool,
    overrides: str,
    num_batches: int,
) -> measure.Run:
  """Prepares a variant.

  Args:
    files: Names of TFRecord files.
    are_features: Whether they hold features.
    overrides: Changes to the configuration.
    num_batches: Batches of a round.

  Returns:
    A function that reads for a round.
  """
  from im2txt import configuration
  from im2txt.data import caption_data
  from im2txt.ops import feature_inputs

  config, _ = configuration.apply_overrides(
      configuration.ModelConfig(), configuration.TrainingConfig(), overrides
  )
  data = caption_data.CaptionData(
      files=files, config=config, are_features=are_features
  )
  feature_size = 0
  if are_features:
    feature_size = feature_inputs.read_layout(files).feature_size
  # A new iterator each round, and one that ends: else batches made between two
  # rounds would cost nothing.
  batches = data.training_batches(
      seed=1, start_step=0, feature_size=feature_size
  ).take(num_batches)

  def run() -> float:
    for _ in batches:
      pass
    return num_batches * config.batch_size

  return run


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
