r"""Serves captions over HTTP, with a web page for pictures.

    serve \
        --checkpoint_path=model/train \
        --vocab_file=mscoco/word_counts.txt

prints, once it is ready,

    Listening on http://127.0.0.1:8080

Open that URL in a browser, or request captions from another program:

    curl -F image=@dog.jpg http://127.0.0.1:8080/model/predict
    curl -F images=@dog.jpg -F images=@cat.jpg -F beam_size=5 \
        http://127.0.0.1:8080/v1/captions

Images of concurrent requests are captioned in common batches. A request beyond
the limits gets an error message; while too many images wait, its status is 503
and the header Retry-After says when to retry. On Ctrl-C or SIGTERM the server
finishes the accepted requests and exits with status 0.

By default it listens on this machine's loopback address only. It has neither
passwords nor TLS: to make it available to others, use a reverse proxy (see
g3doc/serving.md).
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
    "The model: a checkpoint (.../model.ckpt-2000000), a folder, of which the"
    " newest checkpoint is used, the folder of an exported SavedModel, or a"
    " frozen graph (.../model.pb). Several, separated by commas, form an"
    " ensemble.",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file",
    "",
    "The word_counts.txt that the model was trained with. Not needed for a"
    " SavedModel, which contains it.",
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
    "The encoder's numeric type; bfloat16 is faster on processors that support"
    " it, see run_inference.",
)
_RESPECT_EXIF_ORIENTATION = flags.DEFINE_flag(
    common_flags.respect_exif_orientation()
)
_HOST = flags.DEFINE_string(
    "host",
    "127.0.0.1",
    "The address to listen on: 127.0.0.1 for clients on this machine only,"
    " 0.0.0.0 for clients on any machine.",
)
_PORT = flags.DEFINE_integer(
    "port",
    8080,
    "The port to listen on; 0 for any free one.",
    lower_bound=0,
    upper_bound=65535,
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size",
    32,
    "Maximum number of images per batch.",
    lower_bound=1,
)
_BATCH_DELAY_MS = flags.DEFINE_float(
    "batch_delay_ms",
    10.0,
    "How long an image waits for others to share its batch while the model is"
    " idle, in milliseconds.",
    lower_bound=0.0,
    upper_bound=60_000.0,
)
_MAX_WAITING = flags.DEFINE_integer(
    "max_waiting",
    256,
    "Maximum number of waiting images; requests beyond it get status 503.",
    lower_bound=1,
)
_MAX_WAITING_MB = flags.DEFINE_float(
    "max_waiting_mb",
    256.0,
    "Maximum size of all images that wait or are being captioned, in megabytes;"
    " requests beyond it get status 503.",
    lower_bound=0.001,
    upper_bound=1e6,
)
_MAX_IMAGES = flags.DEFINE_integer(
    "max_images", 32, "Maximum number of images per request.", lower_bound=1
)
_MAX_BODY_MB = flags.DEFINE_float(
    "max_body_mb",
    32.0,
    "Maximum size of a request, with all its images, in megabytes.",
    lower_bound=0.001,
    upper_bound=1e6,
)
_MAX_MEGAPIXELS = flags.DEFINE_float(
    "max_megapixels",
    40.0,
    "Maximum size of an image, in millions of pixels, which determine the"
    " memory that decoding it takes. All images of a request together may have"
    " ten times as many.",
    lower_bound=0.001,
    upper_bound=1e6,
)
_BODY_SECS = flags.DEFINE_float(
    "body_secs",
    30.0,
    "How long a request may take to arrive, in seconds.",
    lower_bound=0.001,
    upper_bound=86_400.0,
)
_TIMEOUT_SECS = flags.DEFINE_float(
    "timeout_secs",
    60.0,
    "How long a request may wait for its captions, in seconds.",
    lower_bound=0.001,
    upper_bound=86_400.0,
)
# NaN passes the check of the bounds.
for _flag in (
    _BATCH_DELAY_MS,
    _MAX_WAITING_MB,
    _MAX_BODY_MB,
    _MAX_MEGAPIXELS,
    _BODY_SECS,
    _TIMEOUT_SECS,
):
  flags.register_validator(_flag, math.isfinite, "It must be a number.")

# The packages that only the server needs.
_PACKAGES = ("fastapi", "prometheus_client", "python_multipart", "uvicorn")


def main(argv: list[str]) -> None:
  """Serves until SIGINT or SIGTERM."""
  del argv
  program.require(_CHECKPOINT_PATH)
  if missing := [p for p in _PACKAGES if not importlib.util.find_spec(p)]:
    raise ValueError(
        f"Packages that serving needs are missing: {', '.join(missing)}."
        " Install them: pip install 'im2txt[serve]'"
    )
  # Imported here, as TensorFlow takes seconds to import.
  program.import_tensorflow(with_keras=False)
  from im2txt import captioning
  from im2txt.inference import model_loader
  from im2txt.serving import application
  from im2txt.serving import caption_service
  from im2txt.serving import middleware
  from im2txt.serving import server

  if not model_loader.vocab_file([_CHECKPOINT_PATH.value]):
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
  # Before the model is loaded, so that a port in use fails at once.
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
