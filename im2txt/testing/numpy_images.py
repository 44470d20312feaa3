"""Reference implementations of image processing in NumPy.

Images are float64 arrays of shape [height, width, 3] in [0, 1].
"""

import numpy as np


def resize(image, height, width):
  """Resizes bilinearly, without half-pixel centres, as TensorFlow 1 did."""
  for axis, size in enumerate((height, width)):
    old_size = image.shape[axis]
    position = np.arange(size) * (old_size / size)
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, old_size - 1)
    weight = (position - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
    image = (1 - weight) * image.take(low, axis) + weight * image.take(
        high, axis
    )
  return image


def saturation(image, factor):
  """Scales the saturation in HSV, clipped to [0, 1]."""
  largest = image.max(axis=-1, keepdims=True)
  chroma = largest - image.min(axis=-1, keepdims=True)
  saturation = np.divide(
      chroma, largest, out=np.zeros_like(chroma), where=largest > 0
  )
  ratio = np.divide(
      np.clip(saturation * factor, 0, 1),
      saturation,
      out=np.zeros_like(chroma),
      where=saturation > 0,
  )
  return largest - (largest - image) * ratio


def hue(image, turns):
  """Shifts the hue in HSV by a number of turns."""
  largest, smallest = image.max(axis=-1), image.min(axis=-1)
  chroma = np.where(largest > smallest, largest - smallest, 1)
  red, green, blue = np.moveaxis(image, -1, 0)
  side = np.select(
      [largest == red, largest == green],
      [(green - blue) / chroma, 2 + (blue - red) / chroma],
      4 + (red - green) / chroma,
  )
  side = (side + 6 * turns) % 6
  channels = []
  for start in (5, 3, 1):
    k = (start + side) % 6
    height = np.clip(np.minimum(k, 4 - k), 0, 1)
    channels.append(largest - (largest - smallest) * height)
  return np.stack(channels, axis=-1)


def contrast(image, factor):
  """Scales the difference of each channel from its mean."""
  mean = image.mean(axis=(0, 1))
  return (image - mean) * factor + mean
