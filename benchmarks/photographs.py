"""Synthetic photographs, which take as long to read and decode as real ones."""

import io

import numpy as np
from PIL import Image


def jpeg(rng: np.random.Generator) -> bytes:
  """Returns a JPEG of noise at two scales: 640 x 480 pixels, about 90 kB."""
  coarse = rng.integers(0, 256, [30, 40, 3], dtype=np.uint8)
  photo = Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)
  grain = rng.normal(0, 7, [480, 640, 1])
  pixels = np.clip(np.asarray(photo) + grain, 0, 255).astype(np.uint8)
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, format="jpeg", quality=90)
  return file.getvalue()
