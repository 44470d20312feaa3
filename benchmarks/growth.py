"""Plots how the cost of some work grows with its size."""

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
    title: What is done.
    xlabel: What the sizes count.
    sizes: The sizes.
    cpu_secs: By the name of each way to do it, the CPU-seconds at each size.
  """
  # Takes a second to import.
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
