r"""Measures captioning against the batch size and the beam size.

    python -m benchmarks.scaling_captioning \
      --checkpoint_path=model/train --vocab_file=word_counts.txt \
      --input_files='photos/*.jpg' --plot_file=g3doc/captioning.png

Captions JPEG files as run_inference does. All settings run in one process, in
turns. Prints a table, and plots CPU time and images per second.
"""

from collections.abc import Sequence
import functools

from absl import flags

from benchmarks import captioning
from benchmarks import captioning_inputs
from benchmarks import measure

flags.adopt_module_key_flags(captioning_inputs)

_BATCH_SIZES = flags.DEFINE_list(
    "batch_sizes",
    ["1", "2", "4", "8", "16", "32", "64"],
    "Batch sizes to measure, with a beam size of 3.",
)
_BEAM_SIZES = flags.DEFINE_list(
    "beam_sizes",
    ["1", "2", "3", "5", "10"],
    "Beam sizes to measure, in batches of 32.",
)
_PRECISION = flags.DEFINE_string(
    "precision", "float32", "float32 or bfloat16, as for run_inference."
)
_PLOT_FILE = flags.DEFINE_string(
    "plot_file", "", "Image file for a plot, such as a PNG; none if empty."
)

_BEAM_SIZE, _BATCH_SIZE = 3, 32


def measure_settings(
    inputs: captioning_inputs.Inputs, settings: dict[str, dict[str, int]]
) -> list[measure.Result]:
  """Captions the images with each of the settings, in turns.

  Args:
    inputs: The model and the images.
    settings: Arguments of `Captioner.caption_each`, by name of the setting.

  Returns:
    A result per setting. All have the peak memory of the whole process.
  """
  run = captioning.make_captions(inputs, _PRECISION.value)
  rounds: dict[str, list[measure.Round]] = {name: [] for name in settings}
  for number in range(1 + captioning_inputs.ROUNDS.value):
    for name, options in settings.items():
      one_round = measure.time_round(functools.partial(run, **options))
      if number:  # The first one is a warm-up.
        rounds[name].append(one_round)
  return [
      measure.Result(name, each, measure.peak_mib())
      for name, each in rounds.items()
  ]


def draw(
    path: str,
    groups: dict[str, tuple[Sequence[int], Sequence[measure.Result]]],
) -> None:
  """Plots one panel per group of results, by the label of its x-axis."""
  import matplotlib

  matplotlib.use("agg")
  from matplotlib import pyplot

  figure, panels = pyplot.subplots(
      1, len(groups), figsize=(9, 3.5), layout="constrained", squeeze=False
  )
  for panel, (label, (sizes, results)) in zip(
      panels[0], groups.items(), strict=True
  ):
    panel.plot(
        sizes, [1 / r.median.wall_secs for r in results], "o-", color="C0"
    )
    panel.set_xlabel(label)
    panel.set_ylabel("images per second", color="C0")
    panel.set_ylim(bottom=0)
    panel.set_xscale("log", base=2)
    panel.set_xticks(sizes, sizes)
    costs = panel.twinx()
    costs.plot(
        sizes, [1000 * r.median.cpu_secs for r in results], "s--", color="C1"
    )
    costs.set_ylabel("CPU-milliseconds per image", color="C1")
    costs.set_ylim(bottom=0)
  figure.suptitle(f"{_PRECISION.value}; {measure.machine()}", fontsize=9)
  figure.savefig(path, dpi=120)


def main(inputs: captioning_inputs.Inputs) -> None:
  """Prints the table, and plots it if requested."""
  batch_sizes = [int(size) for size in _BATCH_SIZES.value]
  beam_sizes = [int(size) for size in _BEAM_SIZES.value]
  settings = {
      f"batches of {size}, beam {_BEAM_SIZE}": {
          "batch_size": size,
          "beam_size": _BEAM_SIZE,
      }
      for size in batch_sizes
  }
  settings |= {
      f"beam {size}, batches of {_BATCH_SIZE}": {
          "batch_size": _BATCH_SIZE,
          "beam_size": size,
      }
      for size in beam_sizes
  }
  results = measure_settings(inputs, settings)
  measure.print_table(results, unit="image")
  if _PLOT_FILE.value:
    num = len(batch_sizes)
    draw(
        _PLOT_FILE.value,
        {
            f"batch size (beam {_BEAM_SIZE})": (batch_sizes, results[:num]),
            f"beam (batches of {_BATCH_SIZE})": (beam_sizes, results[num:]),
        },
    )


if __name__ == "__main__":
  flags.FLAGS.set_default("num_images", 64)
  captioning_inputs.run(main)
