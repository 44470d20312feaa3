r"""Measures reading batches from records, without any training.

    bazel-bin/benchmarks/input_pipeline
    bazel-bin/benchmarks/input_pipeline --cores=1,2,4,8

Prints two tables. The first compares "images", for which each image is decoded,
resized, cropped and distorted once per caption, as phases 1 and 2 do, with
"features", which reads the output of `cache_image_features` instead.

The second shows images per second against the number of cores. Each number has
a process of its own that may use only so many cores. The last column is the
number of cores divided by the CPU time per image: what the cores could do if
nothing else ran on the machine, and if no core ever waited. On an idle machine,
images/s should come close to it.

A training step that takes t seconds for a batch of n images waits for its input
unless the input makes n / t images per second. The step's own work on the
processor comes on top of that.

The data are synthetic; give --input_file_pattern and --input_feature_pattern to
read your own.
"""

from collections.abc import Sequence
import functools
import os
import tempfile

from absl import flags

from benchmarks import measure
from benchmarks import training_inputs
from im2txt.runtime import program

flags.adopt_module_key_flags(training_inputs)
_BATCHES = flags.DEFINE_integer(
    "batches",
    10,
    "Number of batches per round, which includes filling the shuffle buffer; 50"
    " times as many for features.",
    lower_bound=1,
)
_ROUNDS = flags.DEFINE_integer(
    "rounds", 5, "Number of measured rounds per variant.", lower_bound=1
)
_CORES = flags.DEFINE_list(
    "cores",
    [],
    "Numbers of cores to compare, such as 1,2,4. By default 1, 2, 4 and so on"
    " up to the number of cores of the machine, and that number.",
)

_BUCKET_BATCHES = 16


def main(argv: Sequence[str]) -> None:
  """Measures and prints the tables."""
  del argv
  num_cores = len(os.sched_getaffinity(0))
  cores = parse_cores(_CORES.value, num_cores)
  with tempfile.TemporaryDirectory() as folder:
    images, features = (
        functools.partial(
            make_run,
            training_inputs.files(folder, are_features=are_features),
            are_features=are_features,
            num_batches=_BATCHES.value * (50 if are_features else 1),
            overrides=training_inputs.overrides(),
        )
        for are_features in (False, True)
    )
    overrides = training_inputs.overrides(bucket_batches=_BUCKET_BATCHES)
    variants = {
        "images": images,
        "images, bucketed": functools.partial(images, overrides=overrides),
        "features": features,
        "features, bucketed": functools.partial(features, overrides=overrides),
    }
    results = measure.compare(
        [measure.Variant(*variant) for variant in variants.items()],
        rounds=_ROUNDS.value,
    )
    measure.print_table(results, unit="pair")
    results = measure.compare(
        [
            measure.Variant(
                str(number), functools.partial(images, cores=number)
            )
            for number in cores
        ],
        rounds=_ROUNDS.value,
    )
    print_cores_table(results)


def parse_cores(texts: Sequence[str], available: int) -> list[int]:
  """Returns the numbers of cores to compare.

  Args:
    texts: Value of --cores.
    available: Number of cores that this process may use.

  Returns:
    The numbers, in increasing order; if `texts` is empty, the powers of 2 up to
    `available`, and `available`.

  Raises:
    ValueError: If a text is not a number from 1 to `available`.
  """
  if not texts:
    powers = {2**i for i in range(available.bit_length())}
    return sorted(powers | {available})
  if not all(t.isdecimal() and 1 <= int(t) <= available for t in texts):
    raise ValueError(
        f"--cores must be numbers from 1 to {available}, the cores that this"
        f" process may use. Got: {','.join(texts)}."
    )
  return sorted({int(text) for text in texts})


def make_run(
    files: Sequence[str],
    *,
    are_features: bool,
    overrides: str,
    num_batches: int,
    cores: int | None = None,
) -> measure.Run:
  """Prepares a variant.

  Args:
    files: Names of TFRecord files.
    are_features: Whether the files contain features.
    overrides: Changes to the configuration.
    num_batches: Number of batches per round.
    cores: Number of cores that this process may use from now on; all if None.

  Returns:
    A function that reads batches for one round.
  """
  if cores is not None:
    # Before TensorFlow is imported, which makes as many threads as it may use
    # cores.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
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
  # Each round has a new iterator, which ends with it. Otherwise, batches would
  # be prefetched between two rounds, where nothing is measured.
  batches = data.training_batches(
      seed=1, start_step=0, feature_size=feature_size
  ).take(num_batches)

  def run() -> float:
    for _ in batches:
      pass
    return num_batches * config.batch_size

  return run


def print_cores_table(results: Sequence[measure.Result]) -> None:
  """Prints images per second against the number of cores, in Markdown.

  Args:
    results: Results of `measure.compare`, named by their number of cores.
  """
  fewest = results[0]
  print(
      f"\n| cores | images/s | (max) | times {fewest.name}"
      " | CPU ms per image | images/s if nothing else ran |"
  )
  print("| ---: |" + " ---: |" * 5)
  for result in results:
    median, minimum = result.median, result.minimum
    print(
        f"| {result.name} | {1 / median.wall_secs:.4g}"
        f" | {1 / minimum.wall_secs:.4g}"
        f" | {fewest.median.wall_secs / median.wall_secs:.2f}"
        f" | {1000 * median.cpu_secs:.2f}"
        f" | {int(result.name) / median.cpu_secs:.4g} |"
    )


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
