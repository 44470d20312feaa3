r"""Compares exported models with the checkpoint that they are exported from.

    python -m benchmarks.exported_models \
      --checkpoint_path=model/train --vocab_file=word_counts.txt \
      --input_files='photos/*.jpg' --num_images=100

Measures captioning of JPEG files, in batches of 32 where the format supports
batches. Then prints the sizes, and the share of images whose captions equal
those of the checkpoint. Sizes and captions mean something only for a trained
model, given by the flags.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import functools
import os
import tempfile
import warnings
import zipfile

from absl import flags
import numpy as np

from benchmarks import captioning_inputs
from benchmarks import measure

flags.adopt_module_key_flags(captioning_inputs)

_BATCH_SIZE = 32

# Returns the captions of each image, the best first.
_Caption = Callable[[], list[list[str]]]


def make_checkpoint(inputs: captioning_inputs.Inputs) -> _Caption:
  """Returns a function that captions as `run_inference` does."""
  from im2txt import captioning
  from im2txt.batch_captioning import input_files

  captioner = captioning.Captioner.load(inputs.checkpoint, inputs.vocab_file)

  def caption() -> list[list[str]]:
    results = captioner.caption(
        map(input_files.read, inputs.files), batch_size=_BATCH_SIZE
    )
    return [[caption.sentence for caption in image] for image in results]

  return caption


def make_saved_model(files: Sequence[str], path: str) -> _Caption:
  """Returns a function that captions by a SavedModel, as a client does."""
  import tensorflow as tf

  model = tf.saved_model.load(path)
  serve = model.signatures["serving_default"]

  def caption() -> list[list[str]]:
    captions = []
    for start in range(0, len(files), _BATCH_SIZE):
      batch = files[start : start + _BATCH_SIZE]
      outputs = serve(image_bytes=tf.stack([*map(tf.io.read_file, batch)]))
      for row, count in zip(
          outputs["captions"].numpy(),
          outputs["num_captions"].numpy(),
          strict=True,
      ):
        captions.append([sentence.decode() for sentence in row[:count]])
    return captions

  return caption


def make_tflite(files: Sequence[str], path: str) -> _Caption:
  """Returns a function that captions by TensorFlow's TF Lite interpreter."""
  import tensorflow as tf

  with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated")
    run = tf.lite.Interpreter(path).get_signature_runner()
  with zipfile.ZipFile(path) as archive:
    words = archive.read("words.txt").decode().split("\n")

  def caption() -> list[list[str]]:
    captions = []
    for file in files:
      image = tf.io.decode_jpeg(
          tf.io.read_file(file), channels=3, dct_method="INTEGER_FAST"
      )
      outputs = run(image=image.numpy())
      ids = outputs["word_ids"][: outputs["num_captions"]]
      captions.append(
          [" ".join(words[i] for i in row if i >= 0) for row in ids]
      )
    return captions

  return caption


def make_counted(make: Callable[[], _Caption]) -> measure.Run:
  """Returns a round that captions all images."""
  caption = make()
  return lambda: len(caption())


def export(inputs: captioning_inputs.Inputs, folder: str) -> Mapping[str, str]:
  """Exports the model in all formats to a folder; returns paths by format."""
  from im2txt.checkpointing import checkpoint_paths
  from im2txt.checkpointing import saved_config
  from im2txt.export import saved_model_export
  from im2txt.export import tflite_model
  from im2txt.inference import inference_model
  from im2txt.inference_utils import vocabulary

  path = checkpoint_paths.find(inputs.checkpoint)
  model = inference_model.InferenceModel(
      saved_config.load(path)[0], path, as_variables=True
  )
  vocab = vocabulary.Vocabulary(inputs.vocab_file)
  paths = {"saved_model": os.path.join(folder, "captioner")}
  saved_model_export.write(model, vocab, paths["saved_model"])
  for quantization in tflite_model.QUANTIZATIONS:
    path = os.path.join(folder, f"{quantization}.tflite")
    tflite_model.write(model, vocab, path, quantization=quantization)
    paths[f"tflite, {quantization}"] = path
  return paths


def makers(
    inputs: captioning_inputs.Inputs, exported: Mapping[str, str]
) -> Mapping[str, Callable[[], _Caption]]:
  """Returns the variants to compare, by name; the checkpoint is first."""
  made = {"checkpoint": functools.partial(make_checkpoint, inputs)}
  for name, path in exported.items():
    make = make_saved_model if name == "saved_model" else make_tflite
    made[name] = functools.partial(make, inputs.files, path)
  return made


def agreement(
    made: Mapping[str, Callable[[], _Caption]], exported: Mapping[str, str]
) -> list[str]:
  """Returns table rows of sizes and of shares of images with equal captions."""
  expected = made["checkpoint"]()()
  rows = []
  for name, path in exported.items():
    pairs = list(zip(made[name]()(), expected, strict=True))
    best = np.mean([ours[:1] == theirs[:1] for ours, theirs in pairs])
    every = np.mean([ours == theirs for ours, theirs in pairs])
    rows.append(
        f"| {name} | {_size(path) / 1e6:.0f} | {best:.0%} | {every:.0%} |"
    )
  return rows


def _size(path: str) -> int:
  """Returns the size of a file, or of all files in a folder, in bytes."""
  if os.path.isfile(path):
    return os.path.getsize(path)
  return sum(
      os.path.getsize(os.path.join(folder, name))
      for folder, _, names in os.walk(path)
      for name in names
  )


def main(inputs: captioning_inputs.Inputs) -> None:
  """Prints both tables."""
  with tempfile.TemporaryDirectory() as folder:
    exported = export(inputs, folder)
    made = makers(inputs, exported)
    results = measure.compare(
        [
            measure.Variant(name, functools.partial(make_counted, make))
            for name, make in made.items()
        ],
        rounds=captioning_inputs.ROUNDS.value,
    )
    measure.print_table(results, unit="image")
    print("\n| export | MB | best caption the same | all captions |")
    print("| --- |" + " ---: |" * 3)
    print("\n".join(agreement(made, exported)))


if __name__ == "__main__":
  captioning_inputs.run(main)
