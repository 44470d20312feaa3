"""A small environment in which the commands of the docs can run.

It has all files that the pages assume, in tiny form: records of MSCOCO, an
encoder checkpoint, a model and pictures; and commands that run the programs on
a small scale (see docs_program) or do nothing.
"""

from collections.abc import Mapping
import contextlib
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys

from im2txt.shapes import shapes_dataset
from im2txt.shapes import shapes_world
from im2txt.testing import programs
from tools import docs_captions
from tools import docs_program

PROGRAMS = sorted(docs_program.MODULES)
_NUM_SCENES = 240

# Commands that do nothing: they need a network, a cluster or a terminal, or
# have tests of their own.
NOT_RUN = (
    "./bazelw",
    "apt-get",
    "docker",
    "download_and_preprocess_mscoco",
    "git",
    "kubectl",
    "open",
    "pip",
    "pre-commit",
    "quickstart",
    "sbatch",
    "srun",
    "sudo",
    "systemctl",
    "tensorboard",
    "tensorflow_model_server",
    "twine",
)

# Commands that do nothing if they are not installed, as on a minimal Debian.
_RUN_IF_THERE = ("curl",)


_FILL = f"""
mkdir -p "$MSCOCO_DIR"
bazel-bin/im2txt/build_mscoco_data \\
  --train_image_dir="$FLICKR_DIR/images" \\
  --val_image_dir="$FLICKR_DIR/images" \\
  --train_captions_file="$FLICKR_DIR/captions_train.json" \\
  --val_captions_file="$FLICKR_DIR/captions_val.json" \\
  --output_dir="$MSCOCO_DIR" --word_counts_output_file="$VOCAB_FILE"
bazel-bin/im2txt/pretrain_encoder --number_of_steps=1 \\
  --labels_file="$FLICKR_DIR/labels.json" \\
  --output_dir="$INCEPTION_DIR/encoder" \\
  --config_overrides={docs_program.TINY}
for file in "$INCEPTION_DIR"/encoder/model.ckpt-*; do
  cp "$file" "$INCEPTION_DIR/inception_v3.ckpt${{file##*ckpt-1}}"
done
for split in train val; do
  bazel-bin/im2txt/cache_image_features \\
    --input_file_pattern="$MSCOCO_DIR/$split-*" \\
    --inception_checkpoint_file="$INCEPTION_DIR/inception_v3.ckpt" \\
    --output_dir="$MSCOCO_DIR/features" --output_prefix=$split
done
bazel-bin/im2txt/train \\
  --input_feature_pattern="$MSCOCO_DIR/features/train-*" \\
  --inception_checkpoint_file="$INCEPTION_DIR/inception_v3.ckpt" \\
  --train_dir="$MODEL_DIR/train"
"""


class World:
  """A folder that represents a reader's home and workspace.

  Attributes:
    home: The folder.
    variables: The environment of the commands.
  """

  def __init__(self, home: Path):
    """Initializes the environment; `fill` or `copy` creates the files.

    Args:
      home: The folder.
    """
    self.home = home
    data = home / "im2txt/data"
    self.variables: Mapping[str, str] = {
        **os.environ,
        "HOME": str(home),
        "MSCOCO_DIR": str(data / "mscoco"),
        "DATA_DIR": str(data / "mscoco"),
        "MODEL_DIR": str(home / "im2txt/model"),
        "INCEPTION_DIR": str(data),
        "FLICKR_DIR": str(home / "flickr"),
        "VOCAB_FILE": str(data / "mscoco/word_counts.txt"),
        "DOCS_SERVER_LOG": str(home / "server.log"),
        "DOCS_SERVER_PIDS": str(home / "server.pids"),
        "DOCS_SERVER_PORT": str(programs.free_ports(1)[0]),
        "PYTHONPATH": os.pathsep.join([os.getcwd(), *filter(None, sys.path)]),
    }

  def copy(self, home: Path) -> "World":
    """Copies the current state to another folder, and returns the copy."""
    shutil.copytree(self.home, home)
    return World(home)

  def fill(self) -> None:
    """Creates all files, with the programs themselves."""
    self._make_commands()
    self._draw(self.home / "flickr")
    self.run(_FILL)
    # A model from another person.
    (self.home / "their").mkdir()
    for path in (self.home / "im2txt/model/train").glob("model.ckpt-2.*"):
      given = path.name.replace("-2.", "-2000000.")
      shutil.copy(path, self.home / "their" / given)
    shutil.copy(self.variables["VOCAB_FILE"], self.home / "their")
    # Needed as the model is tiny; a published model has the default sizes.
    config = self.home / "im2txt/model/train/config.json"
    shutil.copy(config, self.home / "their")

  def run(self, script: str) -> None:
    """Runs commands until one fails.

    Args:
      script: Commands of bash.

    Raises:
      subprocess.CalledProcessError: If a command fails; with the output.
    """
    # The default port may be in use, for instance by another environment.
    port = self.variables["DOCS_SERVER_PORT"]
    script = script.replace(":8080", f":{port}")
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{self._stand_ins()}\n{script}"],
        cwd=self.home,
        env=self.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )

  def stop_servers(self) -> None:
    """Stops servers that are still running."""
    pids = self.home / "server.pids"
    if pids.exists():
      for pid in pids.read_text(encoding="utf-8").split():
        # Not by the program `kill`, which a minimal Debian does not have.
        with contextlib.suppress(ProcessLookupError):
          os.kill(int(pid), signal.SIGTERM)
      pids.unlink()

  def _stand_ins(self) -> str:
    names = [name for name in NOT_RUN if "/" not in name]
    names += [name for name in _RUN_IF_THERE if not shutil.which(name)]
    return "\n".join(f"{name}() {{ :; }}" for name in names)

  def _make_commands(self) -> None:
    folder = self.home / "bazel-bin/im2txt"
    folder.mkdir(parents=True)
    run = f'exec "{sys.executable}" -m tools.docs_program'
    scripts = {folder / name: f'{run} {name} "$@"' for name in PROGRAMS}
    for name in NOT_RUN:
      scripts[folder / name if "/" not in name else self.home / name] = ":"
    for path, script in scripts.items():
      path.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
      path.chmod(0o755)

  def _draw(self, folder: Path) -> None:
    split = shapes_world.make_split(_NUM_SCENES, seed=1)
    images, pictures = folder / "images", self.home / "pictures"
    images.mkdir(parents=True)
    pictures.mkdir()
    for scene in shapes_dataset.write(folder, split, seed=1):
      for name in ("train", "val"):
        if (drawn := folder / name / scene.file_name).exists():
          shutil.copy(drawn, images)
    for path in sorted(images.iterdir())[:3]:
      shutil.copy(path, pictures)
    shutil.copy(path, pictures / "dog.jpg")
    docs_captions.write(self.home, folder)
    # Captions of the validation images, as if by another system.
    references = folder / "captions_val.json"
    shutil.copy(references, self.home)
    annotations = json.loads(references.read_bytes())["annotations"]
    captions = {a["image_id"]: a["caption"] for a in annotations}
    results = [{"image_id": i, "caption": c} for i, c in captions.items()]
    (self.home / "captions_val_results.json").write_text(json.dumps(results))
