r"""Measures the encoder alone: ours, and the same network in other runtimes.

    pip install "im2txt[benchmarks]"  # Missing runtimes are skipped.
    python -m benchmarks.encoder \
      --checkpoint_path=model/train --vocab_file=word_counts.txt

"with variables" is the encoder as in training. In the others, batch
normalization is folded into the kernels. ONNX Runtime and OpenVINO compute in
float32, even if the processor supports other types.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
import importlib.util
from typing import Any

from absl import flags
import numpy as np

from benchmarks import captioning_inputs
from benchmarks import measure

flags.adopt_module_key_flags(captioning_inputs)

# Maximum distance of another runtime's features, relative to their norm.
_TOLERANCE = 1e-3


def make_ours(inputs: captioning_inputs.Inputs, precision: str) -> measure.Run:
  """Returns a round of the folded encoder."""
  model = _model(inputs, precision)
  images = _images(inputs, model)
  return _running(lambda: model.encoder(images), len(images))


def make_with_variables(inputs: captioning_inputs.Inputs) -> measure.Run:
  """Returns a round of the encoder as in training."""
  from im2txt import networks
  from im2txt.checkpointing import checkpoint_paths
  from im2txt.checkpointing import checkpoints
  from im2txt.checkpointing import saved_config

  path = checkpoint_paths.find(inputs.checkpoint)
  encoder = networks.make_encoder(saved_config.load(path)[0])
  checkpoints.restore(encoder.variables_by_name, path)
  images = _images(inputs, _model(inputs))
  return _running(lambda: encoder(images), len(images))


def make_onnxruntime(inputs: captioning_inputs.Inputs) -> measure.Run:
  """Returns a round of ONNX Runtime, with its defaults."""
  import onnxruntime

  model = _model(inputs)
  images = _images(inputs, model)
  session = onnxruntime.InferenceSession(
      _onnx(model), providers=["CPUExecutionProvider"]
  )
  return _checked(
      lambda batch: session.run(None, {"images": batch})[0], model, images
  )


def make_openvino(inputs: captioning_inputs.Inputs) -> measure.Run:
  """Returns a round of OpenVINO, in float32."""
  import openvino

  model = _model(inputs)
  images = _images(inputs, model)
  core = openvino.Core()
  compiled = core.compile_model(
      core.read_model(_onnx(model)),
      "CPU",
      {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"},
  )
  return _checked(lambda batch: compiled(batch)[0], model, images)


def _model(inputs: captioning_inputs.Inputs, precision: str = "float32") -> Any:
  from im2txt import captioning

  return captioning.Captioner.load(
      inputs.checkpoint, inputs.vocab_file, precision=precision
  ).model


def _images(inputs: captioning_inputs.Inputs, model: Any) -> Any:
  import tensorflow as tf

  from im2txt.batch_captioning import input_files

  return tf.stack(
      [model.preprocess_image(input_files.read(file)) for file in inputs.files]
  )


def _onnx(model: Any) -> bytes:
  from benchmarks import onnx_encoder

  return onnx_encoder.convert(model.encoder).SerializeToString()


def _checked(encode: Any, model: Any, images: Any) -> measure.Run:
  """Returns a round of another runtime, after checking its features."""
  batch = np.ascontiguousarray(images.numpy().transpose([0, 3, 1, 2]))
  expected = model.encoder(images[:2]).numpy()
  distance = np.linalg.norm(encode(batch[:2]) - expected)
  if distance > _TOLERANCE * np.linalg.norm(expected):
    raise RuntimeError(f"The features differ by {distance}.")
  return _running(lambda: encode(batch), len(batch))


def _running(encode: Any, num_images: int) -> measure.Run:
  def run() -> int:
    encode()
    return num_images

  return run


def variants(inputs: captioning_inputs.Inputs) -> Sequence[measure.Variant]:
  """Returns the variants to compare, of those that are installed."""
  made: dict[str, Callable[..., measure.Run]] = {
      "with variables": make_with_variables,
      "folded": functools.partial(make_ours, precision="float32"),
      "folded, bfloat16": functools.partial(make_ours, precision="bfloat16"),
  }
  if importlib.util.find_spec("onnx"):
    if importlib.util.find_spec("onnxruntime"):
      made["ONNX Runtime"] = make_onnxruntime
    if importlib.util.find_spec("openvino"):
      made["OpenVINO"] = make_openvino
  return [
      measure.Variant(name, functools.partial(make, inputs))
      for name, make in made.items()
  ]


def main(inputs: captioning_inputs.Inputs) -> None:
  """Prints the table."""
  results = measure.compare(
      variants(inputs), rounds=captioning_inputs.ROUNDS.value
  )
  measure.print_table(results, unit="image")


if __name__ == "__main__":
  captioning_inputs.run(main)
