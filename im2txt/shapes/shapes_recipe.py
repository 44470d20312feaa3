"""The stages of the quickstart: from nothing to captions of synthetic scenes.

scenes/    pictures, captions, labels      shapes_dataset
records/   TFRecords, word_counts.txt      build_mscoco_data
encoder/   a small Inception v3            pretrain_encoder
features/  its features of the pictures    cache_image_features
model/     checkpoints and events          train, evaluate
results/   captions.jsonl, perplexity.txt  run_inference, evaluate
report/    index.html                      shapes_results

The file `stages.json` of the folder records the finished stages, with their
duration in seconds:

    {"settings": {"seed": 1}, "seconds": {"draw": 11.2, "build": 6.3}}

A finished stage is not run again. An interrupted stage is run again as a whole,
so its program must replace its output, or resume.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time
from typing import Any
from typing import NamedTuple

from im2txt import presets
from im2txt.runtime import atomic_files
from im2txt.runtime import progress
from im2txt.shapes import shapes_dataset
from im2txt.shapes import shapes_results
from im2txt.shapes import shapes_world

FILE_NAME = "stages.json"

_TRAINING_FILES = "train-?????-of-00004"
_CAPTIONS_PER_IMAGE = len(shapes_world.WORDINGS)


class StageError(ValueError):
  """A failure of a stage's program, which has printed the reason."""


@dataclasses.dataclass(frozen=True)
class Command:
  """A program of this project and its flags.

  Attributes:
    program: Module of the program below `im2txt`, such as "train" or
      "data.build_mscoco_data".
    arguments: Command-line arguments.
    output_file: File for the standard output; the terminal if None.
  """

  program: str
  arguments: Sequence[str]
  output_file: pathlib.Path | None = None

  def __str__(self) -> str:
    """Returns the command as a user would type it, with one flag per line."""
    name = self.program.rpartition(".")[2].removesuffix("_main")
    if "BUILD_WORKSPACE_DIRECTORY" in os.environ:  # Set by `bazel run`.
      words = f"bazel-bin/im2txt/{name}"
    else:
      words = f"python3 -m im2txt.{self.program}"
    lines = [words, *map(shlex.quote, self.arguments)]
    if self.output_file:
      lines.append(f"> {shlex.quote(str(self.output_file))}")
    return " \\\n    ".join(lines)

  def __call__(self) -> None:
    """Prints the command, and runs the program.

    Raises:
      StageError: If the program's exit status is not 0.
    """
    print(f"\n  {self}\n", flush=True)
    if self.output_file is None:
      self._run(stdout=None)
    else:
      with atomic_files.create(str(self.output_file)) as output:
        self._run(stdout=output)

  def _run(self, stdout: Any) -> None:
    module = f"im2txt.{self.program}"
    child = subprocess.Popen(
        [sys.executable, "-m", module, *self.arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=stdout,
    )
    try:
      status = child.wait()
    finally:
      if child.poll() is None:  # This process has received a signal.
        child.terminate()
        child.wait()
    if status:
      raise StageError(f"{self.program} failed with exit status {status}.")


class Stage(NamedTuple):
  """A stage of the quickstart.

  Attributes:
    name: Name of the stage in `stages.json`.
    title: Description for the user.
    run: Function that runs the stage, and raises an exception if that fails.
  """

  name: str
  title: str
  run: Callable[[], object]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
  """The settings of the quickstart.

  Attributes:
    folder: Absolute path of the folder for all output.
    num_scenes: Number of scenes to draw.
    seed: Seed of the scenes and of all training.
    encoder_steps: Number of steps to train the encoder.
    decoder_steps: Number of steps to train the decoder on cached features.
    fine_tuning_steps: Number of steps to train both after that.
    config_overrides: Further overrides of the configuration.
  """

  folder: pathlib.Path
  num_scenes: int = 3000
  seed: int = 1
  encoder_steps: int = 1500
  decoder_steps: int = 2000
  fine_tuning_steps: int = 20
  config_overrides: str = ""

  def settings(self) -> dict[str, object]:
    """Returns the settings that the results depend on."""
    values = dataclasses.asdict(self)
    del values["folder"]
    return values

  def stages(self) -> list[Stage]:
    """Returns the stages in their order."""
    return [
        Stage("draw", f"Drawing {self.num_scenes:,} scenes", self._draw),
        *self._encoder_stages(),
        *self._model_stages(),
        Stage("report", "Writing the report", self._report),
    ]

  def figures(self) -> dict[str, str]:
    """Returns the results for the held-out scenes, as text by name."""
    output = self.folder / "results" / "perplexity.txt"
    return shapes_results.figures(
        self._split().held_out,
        self._captions(),
        perplexity=shapes_results.read_perplexity(output.read_text()),
    )

  def caption(self, input_files: str) -> Command:
    """Returns the command that prints the captions of pictures."""
    return Command(
        "run_inference",
        [
            f"--checkpoint_path={self.folder}/model/train",
            f"--vocab_file={self.folder}/records/word_counts.txt",
            f"--input_files={input_files}",
        ],
    )

  def _encoder_stages(self) -> list[Stage]:
    scenes, records = self.folder / "scenes", self.folder / "records"
    return [
        Stage(
            "build",
            "Making TFRecords",
            Command(
                "data.build_mscoco_data",
                [
                    f"--train_image_dir={scenes}/train",
                    f"--val_image_dir={scenes}/val",
                    f"--train_captions_file={scenes}/captions_train.json",
                    f"--val_captions_file={scenes}/captions_val.json",
                    f"--output_dir={records}",
                    f"--word_counts_output_file={records}/word_counts.txt",
                    "--train_shards=4",
                    "--val_shards=1",
                    "--test_shards=1",
                    "--num_threads=2",
                ],
            ),
        ),
        Stage(
            "pretrain",
            f"Teaching the encoder to see, in {self.encoder_steps:,} steps",
            Command(
                "pretrain_encoder",
                [
                    f"--labels_file={scenes}/labels.json",
                    f"--output_dir={self.folder}/encoder",
                    f"--number_of_steps={self.encoder_steps}",
                    self._overrides(**presets.QUICKSTART_ENCODER),
                ],
            ),
        ),
        Stage(
            "cache",
            "Encoding each picture once",
            Command(
                "cache_image_features",
                [
                    f"--input_file_pattern={records}/{_TRAINING_FILES}",
                    f"--inception_checkpoint_file={self.folder}/encoder",
                    f"--output_dir={self.folder}/features",
                    "--output_prefix=train",
                    "--output_shards=4",
                ],
            ),
        ),
    ]

  def _model_stages(self) -> list[Stage]:
    records, model = self.folder / "records", self.folder / "model"
    num_training = self.num_scenes - len(self._split().held_out)
    num_examples = num_training * _CAPTIONS_PER_IMAGE
    last_step = self.decoder_steps + self.fine_tuning_steps
    caption = self.caption(f"{self.folder}/scenes/val/held_out_*.jpg")
    return [
        Stage(
            "train",
            f"Phase 1: teaching the decoder, in {self.decoder_steps:,} steps",
            Command(
                "train",
                [
                    "--input_feature_pattern="
                    f"{self.folder}/features/{_TRAINING_FILES}",
                    f"--inception_checkpoint_file={self.folder}/encoder",
                    f"--train_dir={model}/train",
                    f"--number_of_steps={self.decoder_steps}",
                    "--log_every_n_steps=100",
                    "--preset=quickstart",
                    self._overrides(num_examples_per_epoch=num_examples),
                ],
            ),
        ),
        Stage(
            "fine_tune",
            f"Phase 2: training both, {self.fine_tuning_steps} steps",
            Command(
                "train",
                [
                    f"--input_file_pattern={records}/{_TRAINING_FILES}",
                    f"--train_dir={model}/train",
                    "--train_inception=true",
                    f"--number_of_steps={last_step}",
                    # So that few batches don't move the averages far.
                    "--config_overrides=batch_norm_decay=0.999",
                ],
            ),
        ),
        Stage(
            "evaluate",
            "Perplexity of the held-out scenes' captions",
            Command(
                "evaluate",
                [
                    # The builder divides the held-out scenes into val and test.
                    f"--input_file_pattern={records}/val-?????-of-00001,"
                    f"{records}/test-?????-of-00001",
                    f"--checkpoint_dir={model}/train",
                    f"--eval_dir={model}/eval",
                    "--min_global_step=0",
                    "--once=true",
                ],
                self.folder / "results" / "perplexity.txt",
            ),
        ),
        Stage(
            "caption",
            "Captioning the held-out scenes",
            Command(
                caption.program,
                [*caption.arguments, "--output_format=jsonl"],
                self.folder / "results" / "captions.jsonl",
            ),
        ),
    ]

  def _overrides(self, **values: object) -> str:
    values = {**values, "seed": self.seed}
    assignments = [f"{name}={value}" for name, value in values.items()]
    text = ",".join(filter(None, (*assignments, self.config_overrides)))
    return f"--config_overrides={text}"

  def _split(self) -> shapes_world.SceneSplit:
    return shapes_world.make_split(self.num_scenes, seed=self.seed)

  def _captions(self) -> dict[str, list]:
    path = self.folder / "results" / "captions.jsonl"
    with path.open(encoding="utf-8") as lines:
      return shapes_results.read_captions(lines)

  def _draw(self) -> None:
    drawn = shapes_dataset.write(
        self.folder / "scenes", self._split(), seed=self.seed
    )
    for _ in progress.bar("Drawing", self.num_scenes, items=drawn):
      pass

  def _report(self) -> None:
    shapes_results.write_report(
        self.folder / "report",
        self._split().held_out,
        self._captions(),
        self.figures(),
        image_dir=self.folder / "scenes" / "val",
    )


def run(
    folder: pathlib.Path,
    settings: Mapping[str, Any],
    stages: Sequence[Stage],
) -> dict[str, float]:
  """Runs the stages that are not finished, and records them in the folder.

  Args:
    folder: The folder; created if it is missing.
    settings: The settings that the results depend on, as JSON values.
    stages: The stages in their order.

  Returns:
    The duration of each stage in seconds, by name.

  Raises:
    ValueError: If the folder was used with other settings or has other content,
      or a stage fails.
  """
  path = folder / FILE_NAME
  seconds: dict[str, float] = {}
  if path.exists():
    earlier = json.loads(path.read_text(encoding="utf-8"))
    if earlier["settings"] != dict(settings):
      raise ValueError(
          f"{folder} was used with other settings: {earlier['settings']}, not"
          f" {dict(settings)}. Choose another folder, or delete it."
      )
    seconds.update(earlier["seconds"])
  elif folder.exists() and any(folder.iterdir()):
    raise ValueError(f"{folder} is not empty. Choose another folder.")
  else:
    (folder / "results").mkdir(parents=True, exist_ok=True)
    _write_finished(path, settings, seconds)
  for number, stage in enumerate(stages, 1):
    print(f"\n[{number}/{len(stages)}] {stage.title}", flush=True)
    if stage.name in seconds:
      print("  was finished before.")
      continue
    start = time.monotonic()
    stage.run()
    seconds[stage.name] = round(time.monotonic() - start, 1)
    _write_finished(path, settings, seconds)
  return seconds


def _write_finished(path, settings, seconds) -> None:
  content = {"settings": dict(settings), "seconds": seconds}
  with atomic_files.create(str(path)) as file:
    file.write((json.dumps(content, indent=2) + "\n").encode())
