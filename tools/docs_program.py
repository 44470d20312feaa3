"""Runs a program of the docs on a small scale.

  python -m tools.docs_program train --train_dir=...

Training takes two steps, with a tiny model. Evaluation ends after one
checkpoint, even if it runs beside training. A server is left running, for the
commands after it. All other flags are those of the page.
"""

from collections.abc import Callable
import os
from pathlib import Path
import socket
import subprocess
import sys
import time

TINY = (
    "batch_size=4,image_height=75,image_width=75,resize_height=80,"
    "resize_width=80,inception_depth_multiplier=0.05,embedding_size=8,"
    "num_lstm_units=6,num_preprocess_threads=2,shuffle_buffer_size=8"
)
_STEPS = 2

# The modules of the Python programs.
MODULES = {
    "build_caption_data": "im2txt.data.build_caption_data",
    "build_mscoco_data": "im2txt.data.build_mscoco_data",
    "cache_image_features": "im2txt.cache_image_features",
    "convert_checkpoint": "im2txt.convert_checkpoint",
    "evaluate": "im2txt.evaluate",
    "export_model": "im2txt.export_model",
    "extend_vocabulary": "im2txt.extend_vocabulary",
    "pretrain_encoder": "im2txt.pretrain_encoder",
    "run_inference": "im2txt.run_inference",
    "score_captions": "im2txt.score_captions",
    "serve": "im2txt.serve",
    "train": "im2txt.train",
}
_SECONDS_TO_START = 120


def shrink(program: str, arguments: list[str]) -> list[str]:
  """Returns the arguments for a small run.

  Args:
    program: The name of the program.
    arguments: The arguments in the page.

  Returns:
    The arguments, with more flags.
  """
  given = _flags(arguments)
  if program == "evaluate":
    return [*arguments, "--once", "--min_global_step=0"]
  if program not in ("train", "cache_image_features"):
    return arguments
  overrides = f"{given.get('config_overrides', '')},{TINY}"
  arguments = [*arguments, f"--config_overrides={overrides}"]
  if program == "train":
    steps = _newest_step(given["train_dir"]) + _STEPS
    arguments.append(f"--number_of_steps={steps}")
  return arguments


def _flags(arguments: list[str]) -> dict[str, str]:
  return dict(
      argument.removeprefix("--").partition("=")[::2]
      for argument in arguments
      if argument.startswith("--")
  )


def _checkpoints(folder: str) -> list[Path]:
  return list(Path(folder).glob("model.ckpt-*.index"))


def _newest_step(folder: str) -> int:
  steps = [int(p.stem.rpartition("-")[2]) for p in _checkpoints(folder)]
  return max(steps, default=0)


def _wait_until(condition: Callable[[], bool]) -> None:
  end = time.monotonic() + _SECONDS_TO_START
  while time.monotonic() < end and not condition():
    time.sleep(0.2)


def _start_server(command: list[str], port: int) -> int:
  """Starts a server that outlives this process; waits until it listens."""
  with open(os.environ["DOCS_SERVER_LOG"], "wb") as log:
    server = subprocess.Popen(command, stdout=log, stderr=log)
  with open(os.environ["DOCS_SERVER_PIDS"], "a", encoding="utf-8") as pids:
    pids.write(f"{server.pid}\n")
  _wait_until(lambda: _listens(port) or server.poll() is not None)
  return 0 if server.poll() is None and _listens(port) else 1


def _listens(port: int) -> bool:
  try:
    socket.create_connection(("127.0.0.1", port), timeout=1).close()
  except OSError:
    return False
  return True


def main() -> int:
  """Runs the program; returns its exit status."""
  program, *arguments = sys.argv[1:]
  command = [sys.executable, "-m", MODULES[program]]
  command += shrink(program, arguments)
  if program == "serve":
    port = int(os.environ["DOCS_SERVER_PORT"])
    return _start_server([*command, f"--port={port}"], port)
  folder = _flags(arguments).get("checkpoint_dir")
  if program == "evaluate" and folder:
    # Training may have just started beside it.
    _wait_until(lambda: bool(_checkpoints(folder)))
  return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
  raise SystemExit(main())
