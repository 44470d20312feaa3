"""Plots the cost of work against its size."""

from collections.abc import Mapping
from collections.abc import Sequence


def plot(
    path: str,
    *,
    title: str,
    xlabel: str,
    sizes: Sequence[int],
    cpu_secs: Mapping[str, Sequence[float]],
) -> None:
  """Plots CPU-seconds against sizes.

  Args:
    path: The PNG file to write.
    title: The title of the plot.
    xlabel: The unit of the sizes.
    sizes: The sizes.
    cpu_secs: The CPU-seconds at each size, by name of the variant.
  """
  # Imported here, as it takes a second.
  import matplotlib

  matplotlib.use("agg")
  from matplotlib import pyplot

  figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
  for name, secs in cpu_secs.items():
    axes.plot(sizes, secs, marker="o", label=name)
  axes.set(
      title=title,
      xlabel=xlabel,
      ylabel="CPU-seconds",
      xlim=(0, None),
      ylim=(0, None),
  )
  axes.legend()
  axes.grid(alpha=0.3)
  figure.savefig(path, dpi=150)
