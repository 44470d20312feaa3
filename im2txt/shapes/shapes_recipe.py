"""From nothing to captions of the made-up world: the quickstart's stages.

scenes/    pictures, captions, labels      shapes_dataset
records/   TFRecords, word_counts.txt      build_mscoco_data
encoder/   a small Inception v3            pretrain_encoder
features/  what it sees in the pictures    cache_image_features
model/     checkpoints and events          train, evaluate
results/   captions.jsonl, perplexity.txt  run_inference, evaluate
report/    index.html                      shapes_results

A folder's `stages.json` records what was done and how long it took:

    {"settings": {"seed": 1}, "seconds": {"draw": 11.2, "build": 6.3}}

A stage that it lists is not run again. One that was interrupted is run anew, so
stages must be repeatable: programs that replace their output, or resume.
"""

from collections.abc import Callable
from collections.abc import Mapping
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


_SHARDS = {"train": 4, "val": 1, "test": 1}

_CAPTIONS_PER_IMAGE = len(shapes_world.WORDINGS)


class StageError(ValueError):
  """A program of a stage failed, and has said why."""


class Stage(NamedTuple):
  """A step of the series.

  Attributes:
    name: Its name in `stages.json`.
    title: What it does, for the user.
    run: Does it; raises an exception if it fails.
  """

  name: str
  title: str
  run: Callable[[], object]


class Command(NamedTuple):
  """A program of this project and its flags.

  Attributes:
    program: Its module below `im2txt`, such as "train" or
      "data.build_mscoco_data".
    flags: The values of the flags by their names.
    output_file: Where its standard output is kept, instead of on the screen.
  """

  program: str
  flags: Mapping[str, object]
  output_file: pathlib.Path | None = None

  def arguments(self) -> list[str]:
    """Returns the flags as the program takes them."""
    return [f"--{name}={value}" for name, value in self.flags.items()]

  def shown(self) -> str:
    """Returns the command as a user would type it, a flag a line."""
    name = self.program.rpartition(".")[2].removesuffix("_main")
    if "BUILD_WORKSPACE_DIRECTORY" in os.environ:  # Set by `bazel run`.
      words = f"bazel-bin/im2txt/{name}"
    else:
      words = f"python3 -m im2txt.{self.program}"
    lines = [words, *map(shlex.quote, self.arguments())]
    if self.output_file:
      lines.append(f"> {shlex.quote(str(self.output_file))}")
    return " \\\n    ".join(lines)

  def run(self) -> None:
    """Runs the program, after showing the command.

    Raises:
      StageError: If it ends with another status than 0.
    """
    print(f"\n  {self.shown()}\n", flush=True)
    if self.output_file is None:
      self._run(stdout=None)
    else:
      with atomic_files.create(str(self.output_file)) as output:
        self._run(stdout=output)

  def _run(self, stdout: Any) -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            f"im2txt.{self.program}",
            *self.arguments(),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=stdout,
    )
    try:
      status = child.wait()
    finally:
      if child.poll() is None:  # This program was told to end.
        child.terminate()
        child.wait()
    if status:
      raise StageError(f"{self.program} failed with exit status {status}.")


class Journal:
  """What was done in a folder, kept in the folder.

  Attributes:
    seconds: How long each finished stage took, by its name.
  """

  def __init__(self, folder: pathlib.Path, settings: Mapping[str, Any]):
    """Opens the journal of a folder, or begins one.

    Args:
      folder: The folder; made if it is missing.
      settings: What the stages' results depend on, as JSON values.

    Raises:
      ValueError: If the folder was used with other settings, or for anything
        else.
    """
    self._path = folder / FILE_NAME
    self._settings = dict(settings)
    self.seconds: dict[str, float] = {}
    if self._path.exists():
      earlier = json.loads(self._path.read_text(encoding="utf-8"))
      if earlier["settings"] != self._settings:
        raise ValueError(
            f"{folder} was used with other settings: {earlier['settings']}, not"
            f" {self._settings}. Choose another folder, or delete it."
        )
      self.seconds.update(earlier["seconds"])
    elif folder.exists() and any(folder.iterdir()):
      raise ValueError(
          f"{folder} holds other things already. Choose another folder."
      )
    else:
      folder.mkdir(parents=True, exist_ok=True)
      self._write()

  def run(self, stage: Stage) -> bool:
    """Runs a stage, unless it is finished.

    Args:
      stage: The stage.

    Returns:
      Whether it was run now.
    """
    if stage.name in self.seconds:
      return False
    start = time.monotonic()
    stage.run()
    self.seconds[stage.name] = round(time.monotonic() - start, 1)
    self._write()
    return True

  def _write(self) -> None:
    content = {"settings": self._settings, "seconds": self.seconds}
    with atomic_files.create(str(self._path)) as file:
      file.write((json.dumps(content, indent=2) + "\n").encode())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
  """What the stages do, and where.

  Attributes:
    folder: An absolute path; everything is written below it.
    num_scenes: How many scenes to draw.
    seed: Of the scenes and of all training.
    encoder_steps: Steps to train the encoder.
    decoder_steps: Steps to train the decoder on the encoder's features.
    fine_tuning_steps: Steps to train both, after that.
    config_overrides: Further overrides of the configuration.
  """

  folder: pathlib.Path
  num_scenes: int = 3000
  seed: int = 1
  encoder_steps: int = 1500
  decoder_steps: int = 2000
  fine_tuning_steps: int = 20
  config_overrides: str = ""

  @property
  def model_dir(self) -> pathlib.Path:
    """The folder of checkpoints and events."""
    return self.folder / "model"

  @property
  def vocab_file(self) -> pathlib.Path:
    """The words of the captions."""
    return self.folder / "records" / "word_counts.txt"

  def settings(self) -> dict[str, object]:
    """Returns all that the results depend on, for `stages.Journal`."""
    values = dataclasses.asdict(self)
    del values["folder"]
    return values

  def all_stages(self) -> list[Stage]:
    """Returns the stages in their order."""
    encoder_steps = f"{self.encoder_steps:,}"
    return [
        Stage("draw", f"Drawing {self.num_scenes:,} scenes", self._draw),
        Stage("build", "Making TFRecords", self._build().run),
        Stage(
            "pretrain",
            f"Teaching the encoder to see, in {encoder_steps} steps",
            self._pretrain().run,
        ),
        Stage("cache", "Encoding each picture once", self._cache().run),
        Stage(
            "train",
            f"Phase 1: teaching the decoder, in {self.decoder_steps:,} steps",
            self._train().run,
        ),
        Stage(
            "fine_tune",
            f"Phase 2: training both, {self.fine_tuning_steps} steps",
            self._fine_tune().run,
        ),
        Stage(
            "evaluate",
            "Perplexity of the held-out scenes' captions",
            self._evaluate().run,
        ),
        Stage("caption", "Captioning the held-out scenes", self.caption().run),
        Stage("report", "Writing the report", self._report),
    ]

  def results(self) -> shapes_results.Results:
    """Judges the captions of the held-out scenes."""
    output = self.folder / "results" / "perplexity.txt"
    return shapes_results.judge(
        self._split().held_out,
        self._captions(),
        perplexity=shapes_results.read_perplexity(output.read_text()),
    )

  def caption(self, input_files: str = "") -> Command:
    """Returns the command that captions pictures.

    Args:
      input_files: The pictures; the held-out scenes if empty.

    Returns:
      The command.
    """
    flags = {
        "checkpoint_path": self.model_dir / "train",
        "vocab_file": self.vocab_file,
        "input_files": input_files or self._scenes / "val" / "held_out_*.jpg",
    }
    if input_files:
      return Command("run_inference", flags)
    flags["output_format"] = "jsonl"
    return Command("run_inference", flags, self._captions_file)

  @property
  def _scenes(self) -> pathlib.Path:
    return self.folder / "scenes"

  @property
  def _captions_file(self) -> pathlib.Path:
    return self.folder / "results" / "captions.jsonl"

  def _records(self, name: str) -> str:
    return f"{self.folder}/records/{name}-?????-of-{_SHARDS[name]:05d}"

  def _overrides(self, **values: object) -> str:
    values = {**values, "seed": self.seed}
    assignments = [f"{name}={value}" for name, value in values.items()]
    return ",".join(filter(None, (*assignments, self.config_overrides)))

  def _split(self) -> shapes_world.Split:
    return shapes_world.make_split(self.num_scenes, seed=self.seed)

  def _draw(self) -> None:
    written = shapes_dataset.write(self._scenes, self._split(), seed=self.seed)
    for _ in progress.bar("Drawing", self.num_scenes, items=written):
      pass

  def _build(self) -> Command:
    return Command(
        "data.build_mscoco_data",
        {
            "train_image_dir": self._scenes / "train",
            "val_image_dir": self._scenes / "val",
            "train_captions_file": self._scenes / "captions_train.json",
            "val_captions_file": self._scenes / "captions_val.json",
            "output_dir": self.folder / "records",
            "word_counts_output_file": self.vocab_file,
            **{f"{name}_shards": count for name, count in _SHARDS.items()},
            "num_threads": 2,
        },
    )

  def _pretrain(self) -> Command:
    return Command(
        "pretrain_encoder",
        {
            "labels_file": self._scenes / "labels.json",
            "output_dir": self.folder / "encoder",
            "number_of_steps": self.encoder_steps,
            "config_overrides": self._overrides(**presets.QUICKSTART_ENCODER),
        },
    )

  def _cache(self) -> Command:
    return Command(
        "cache_image_features",
        {
            "input_file_pattern": self._records("train"),
            "inception_checkpoint_file": self.folder / "encoder",
            "output_dir": self.folder / "features",
            "output_prefix": "train",
            "output_shards": _SHARDS["train"],
        },
    )

  def _train(self) -> Command:
    shards = f"train-?????-of-{_SHARDS['train']:05d}"
    num_training = self.num_scenes - len(self._split().held_out)
    return Command(
        "train",
        {
            "input_feature_pattern": self.folder / "features" / shards,
            "inception_checkpoint_file": self.folder / "encoder",
            "train_dir": self.model_dir / "train",
            "number_of_steps": self.decoder_steps,
            "log_every_n_steps": 100,
            "preset": presets.quickstart.__name__,
            "config_overrides": self._overrides(
                num_examples_per_epoch=num_training * _CAPTIONS_PER_IMAGE,
            ),
        },
    )

  def _fine_tune(self) -> Command:
    return Command(
        "train",
        {
            "input_file_pattern": self._records("train"),
            "train_dir": self.model_dir / "train",
            "train_inception": "true",
            "number_of_steps": self.decoder_steps + self.fine_tuning_steps,
            # So few batches must not move the averages far.
            "config_overrides": "batch_norm_decay=0.999",
        },
    )

  def _evaluate(self) -> Command:
    # The builder's val and test splits are the held-out scenes.
    return Command(
        "evaluate",
        {
            "input_file_pattern": ",".join(map(self._records, ("val", "test"))),
            "checkpoint_dir": self.model_dir / "train",
            "eval_dir": self.model_dir / "eval",
            "min_global_step": 0,
            "once": "true",
        },
        self.folder / "results" / "perplexity.txt",
    )

  def _captions(self):
    with self._captions_file.open(encoding="utf-8") as lines:
      return shapes_results.read_captions(lines)

  def _report(self) -> None:
    shapes_results.write_report(
        self.folder / "report",
        self._split().held_out,
        self._captions(),
        self.results(),
        image_dir=self._scenes / "val",
    )
