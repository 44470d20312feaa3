r"""Measures a training step, from records to updated variables.

    bazel-bin/benchmarks/training_step

Variants of phase 1, which trains the decoder only: "cached" on features written
by `cache_image_features`; "bucketed", in batches of captions with similar
lengths; "live" on images, with the encoder in each step. "phase 2" trains the
encoder too. "bfloat16" is train's --mixed_precision. Each variant is a process
of its own, and they take turns, so that their times are comparable.

The data are synthetic, unless --input_file_pattern and --input_feature_pattern
are given. `--variants=cached,live` measures only those.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import functools
import tempfile
from typing import NamedTuple

from absl import flags

from benchmarks import measure
from benchmarks import training_inputs
from im2txt.runtime import program

flags.adopt_module_key_flags(training_inputs)
_STEPS = flags.DEFINE_integer(
    "steps",
    2,
    "Number of steps per round; for cached features, ten times as many.",
    lower_bound=1,
)
_ROUNDS = flags.DEFINE_integer(
    "rounds", 3, "Number of measured rounds per variant.", lower_bound=1
)


class Setting(NamedTuple):
  """The settings of a variant.

  Attributes:
    are_features: Whether the input is cached features instead of images.
    train_inception: Whether the encoder is trained too.
    precision: Value of train's --mixed_precision.
    overrides: Overrides of the configuration besides the user's, by field.
  """

  are_features: bool = False
  train_inception: bool = False
  precision: str = "float32"
  overrides: Mapping[str, object] = {}


_SETTINGS = {
    "cached": Setting(are_features=True),
    "cached, bucketed": Setting(
        are_features=True, overrides={"bucket_batches": 16}
    ),
    "cached, bfloat16": Setting(are_features=True, precision="bfloat16"),
    "live": Setting(),
    "live, bfloat16": Setting(precision="bfloat16"),
    "phase 2": Setting(train_inception=True),
    "phase 2, bfloat16": Setting(train_inception=True, precision="bfloat16"),
}
_VARIANTS = flags.DEFINE_list(
    "variants",
    [],
    "Prefixes of the variants to measure, such as cached,live; all if empty.",
)


def main(argv: Sequence[str]) -> None:
  """Measures and prints a table."""
  del argv
  wanted = tuple(_VARIANTS.value)
  settings = {
      name: setting
      for name, setting in _SETTINGS.items()
      if not wanted or name.startswith(wanted)
  }
  if not settings:
    raise ValueError(
        f"--variants must be prefixes of {'; '.join(_SETTINGS)}. Got:"
        f" {','.join(wanted)}."
    )
  with tempfile.TemporaryDirectory() as folder:
    files = {
        are_features: training_inputs.files(folder, are_features=are_features)
        for are_features in {s.are_features for s in settings.values()}
    }
    variants = [
        measure.Variant(
            name,
            functools.partial(
                make_run,
                files[setting.are_features],
                setting,
                training_inputs.overrides(**setting.overrides),
                _STEPS.value * (10 if setting.are_features else 1),
            ),
        )
        for name, setting in settings.items()
    ]
    results = measure.compare(variants, rounds=_ROUNDS.value)
  measure.print_table(results, unit="step")


def make_run(
    files: Sequence[str], setting: Setting, overrides: str, num_steps: int
) -> measure.Run:
  """Prepares a variant.

  Args:
    files: The names of the TFRecord files.
    setting: The settings of the variant.
    overrides: Overrides of the configuration.
    num_steps: Number of steps per round.

  Returns:
    A function that trains for one round.
  """
  from im2txt import configuration
  from im2txt.data import caption_data
  from im2txt.runtime import precision
  from im2txt.training import trainers

  model_config, training_config = configuration.apply_overrides(
      configuration.ModelConfig(),
      configuration.TrainingConfig(),
      overrides,
  )
  trainer = trainers.Trainer(
      model_config,
      training_config,
      trainers.StepOptions(
          train_inception=setting.train_inception,
          compute_dtype=precision.training_dtype(setting.precision),
      ),
  )
  data = caption_data.CaptionData(
      files=files, config=model_config, are_features=setting.are_features
  )
  batches = iter(
      data.training_batches(
          seed=1,
          start_step=0,
          feature_size=trainer.model.encoder.feature_size,
      )
  )
  step = trainer.step_function(batches.element_spec)

  def run() -> float:
    for _ in range(num_steps):
      float(step(next(batches)).total_loss)  # Waits for the step's end.
    return num_steps

  return run


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
