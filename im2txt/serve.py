r"""Serves captions over HTTP, with a page to drop pictures on.

    serve \
        --checkpoint_path=model/train \
        --vocab_file=mscoco/word_counts.txt

prints, once it is ready,

    Listening on http://127.0.0.1:8080

Open that in a browser, or ask for captions from elsewhere:

    curl -F image=@dog.jpg http://127.0.0.1:8080/model/predict
    curl -F images=@dog.jpg -F images=@cat.jpg -F beam_size=5 \
        http://127.0.0.1:8080/v1/captions

Images of clients that come at the same time are captioned in common batches.
What is more than the limits allow is refused with a sentence; while too many
images wait, the answer is 503 and says when to come again. Ctrl-C or SIGTERM
stops the server after what it has begun, with the exit status 0.

Only this machine can reach it unless --host says otherwise. It has no password
and no TLS; for others to use it, put a proxy in front (see g3doc/serving.md).
"""

import importlib.util
import math

from absl import flags
from absl import logging

from im2txt import common_flags
from im2txt.runtime import program

_CHECKPOINT_PATH = flags.DEFINE_string(
    "checkpoint_path",
    "",
    "The model: a checkpoint (.../model.ckpt-2000000), a folder, whose newest"
    " one is taken, an exported SavedModel's folder, or a frozen graph"
    " (.../model.pb). Several, separated by commas, are an ensemble.",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file",
    "",
    "The word_counts.txt that the model was trained with; a SavedModel has it.",
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Changes to the model's configuration, such as"
    " vocab_size=9000,embedding_size=256.",
)
_PRECISION = flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "bfloat16"],
    "What the encoder computes in; see run_inference.",
)
_RESPECT_EXIF_ORIENTATION = flags.DEFINE_flag(
    common_flags.respect_exif_orientation()
)
_HOST = flags.DEFINE_string(
    "host",
    "127.0.0.1",
    "The address to listen on: 127.0.0.1 for this machine alone, 0.0.0.0 for"
    " all that can reach it.",
)
_PORT = flags.DEFINE_integer(
    "port",
    8080,
    "The port to listen on; with 0 the system chooses one.",
    lower_bound=0,
    upper_bound=65535,
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size",
    32,
    "The most images to caption at once.",
    lower_bound=1,
)
_BATCH_DELAY_MS = flags.DEFINE_float(
    "batch_delay_ms",
    10.0,
    "How long an image waits for others to share a batch while the model has"
    " nothing to do, in milliseconds.",
    lower_bound=0.0,
    upper_bound=60_000.0,
)
_MAX_WAITING = flags.DEFINE_integer(
    "max_waiting",
    256,
    "The most images that wait; more are answered 503.",
    lower_bound=1,
)
_MAX_WAITING_MB = flags.DEFINE_float(
    "max_waiting_mb",
    256.0,
    "The most megabytes of images that wait or are in work; more are answered"
    " 503.",
    lower_bound=0.001,
    upper_bound=1e6,
)
_MAX_IMAGES = flags.DEFINE_integer(
    "max_images", 32, "The most images of a request.", lower_bound=1
)
_MAX_BODY_MB = flags.DEFINE_float(
    "max_body_mb",
    32.0,
    "The largest request, with all its images, in megabytes.",
    lower_bound=0.001,
    upper_bound=1e6,
)
_MAX_MEGAPIXELS = flags.DEFINE_float(
    "max_megapixels",
    40.0,
    "The largest image, in millions of pixels: the memory that an image takes"
    " follows from this, not from its file. A request's images may have ten"
    " times as many together.",
    lower_bound=0.001,
    upper_bound=1e6,
)
_BODY_SECS = flags.DEFINE_float(
    "body_secs",
    30.0,
    "How long a request may take to arrive.",
    lower_bound=0.001,
    upper_bound=86_400.0,
)
_TIMEOUT_SECS = flags.DEFINE_float(
    "timeout_secs",
    60.0,
    "How long a request may wait for its captions.",
    lower_bound=0.001,
    upper_bound=86_400.0,
)
# NaN is within any bounds.
for _flag in (
    _BATCH_DELAY_MS,
    _MAX_WAITING_MB,
    _MAX_BODY_MB,
    _MAX_MEGAPIXELS,
    _BODY_SECS,
    _TIMEOUT_SECS,
):
  flags.register_validator(_flag, math.isfinite, "It must be a number.")

# Besides im2txt's own requirements.
_PACKAGES = ("fastapi", "prometheus_client", "python_multipart", "uvicorn")


def main(argv: list[str]) -> None:
  """Serves until a signal says to stop."""
  del argv
  program.require(_CHECKPOINT_PATH)
  if missing := [p for p in _PACKAGES if not importlib.util.find_spec(p)]:
    raise ValueError(
        f"Serving needs packages that are missing here: {', '.join(missing)}."
        " Install them: pip install 'im2txt[serve]'"
    )
  # Only now, as TensorFlow takes seconds to import.
  program.leave_keras_out()
  program.import_tensorflow()
  from im2txt import captioning
  from im2txt.inference import model_loader
  from im2txt.serving import application
  from im2txt.serving import caption_service
  from im2txt.serving import middleware
  from im2txt.serving import server

  if not model_loader.words_file([_CHECKPOINT_PATH.value]):
    program.require(_VOCAB_FILE)
  limits = caption_service.Limits(
      max_batch_size=_BATCH_SIZE.value,
      max_delay_secs=_BATCH_DELAY_MS.value / 1000,
      max_waiting=_MAX_WAITING.value,
      max_waiting_bytes=int(_MAX_WAITING_MB.value * 2**20),
      max_images=_MAX_IMAGES.value,
      max_pixels=int(_MAX_MEGAPIXELS.value * 1e6),
      respect_exif_orientation=_RESPECT_EXIF_ORIENTATION.value,
      timeout_secs=_TIMEOUT_SECS.value,
  )
  request_limits = middleware.RequestLimits(
      max_body_bytes=int(_MAX_BODY_MB.value * 2**20),
      body_secs=_BODY_SECS.value,
  )
  # Before the model is loaded, which takes a while.
  with server.bind(_HOST.value, _PORT.value) as bound:
    captioner = captioning.Captioner.load(
        model_loader.resolve(_CHECKPOINT_PATH.value),
        _VOCAB_FILE.value,
        _CONFIG_OVERRIDES.value,
        precision=_PRECISION.value,
    )
    server.run(
        application.make(captioner, limits, request_limits),
        bound,
        on_start=lambda url: print(f"Listening on {url}", flush=True),
        stop_secs=math.ceil(_BODY_SECS.value + _TIMEOUT_SECS.value),
    )
  logging.info("Stopped.")


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
