"""Prometheus metrics of the server."""

from collections.abc import Callable

import prometheus_client

# In seconds: from a response without the model to one after a long queue.
_REQUEST_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60)
_BATCH_SECS_BUCKETS = (0.03, 0.1, 0.3, 1, 3, 10, 30)
_BATCH_SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
  """The metrics of one server, in a registry of its own.

  Attributes:
    content_type: The content type of the `page`.
  """

  content_type = prometheus_client.CONTENT_TYPE_LATEST

  def __init__(self):
    self._registry = prometheus_client.CollectorRegistry()
    # Memory, CPU-seconds and open files of the process.
    prometheus_client.ProcessCollector(registry=self._registry)
    self._requests = prometheus_client.Counter(
        "im2txt_requests",
        "Requests; the status is 499 if the client disconnected.",
        ["path", "status"],
        registry=self._registry,
    )
    self._request_secs = prometheus_client.Histogram(
        "im2txt_request_seconds",
        "Seconds from a request's first byte to the end of the response.",
        ["path"],
        buckets=_REQUEST_BUCKETS,
        registry=self._registry,
    )
    self._in_progress = prometheus_client.Gauge(
        "im2txt_requests_in_progress",
        "Requests in progress.",
        registry=self._registry,
    )
    self._images = prometheus_client.Counter(
        "im2txt_images",
        "Images by outcome: captioned or refused.",
        ["outcome"],
        registry=self._registry,
    )
    self._batch_sizes = prometheus_client.Histogram(
        "im2txt_batch_size",
        "Images per batch, including those that are refused.",
        buckets=_BATCH_SIZE_BUCKETS,
        registry=self._registry,
    )
    self._batch_secs = prometheus_client.Histogram(
        "im2txt_batch_seconds",
        "Seconds per batch, from decoding to captions.",
        buckets=_BATCH_SECS_BUCKETS,
        registry=self._registry,
    )
    self._waiting = prometheus_client.Gauge(
        "im2txt_images_waiting",
        "Images that are waiting for a batch.",
        registry=self._registry,
    )

  def watch_waiting(self, num_waiting: Callable[[], int]) -> None:
    """Sets the function that returns the number of waiting images."""
    self._waiting.set_function(num_waiting)

  def request_began(self) -> None:
    """Counts a request that has started."""
    self._in_progress.inc()

  def request_ended(self, path: str, status: int, secs: float) -> None:
    """Counts a request that has ended.

    Args:
      path: The path of a route, never an arbitrary path of a client: each path
        is a time series.
      status: The status of the response.
      secs: The duration of the request, in seconds.
    """
    self._in_progress.dec()
    self._requests.labels(path, str(status)).inc()
    self._request_secs.labels(path).observe(secs)

  def images_answered(self, *, captioned: int, refused: int) -> None:
    """Counts the images of a request."""
    self._images.labels("captioned").inc(captioned)
    self._images.labels("refused").inc(refused)

  def batch_done(self, num_images: int, secs: float) -> None:
    """Counts a batch."""
    self._batch_sizes.observe(num_images)
    self._batch_secs.observe(secs)

  def page(self) -> bytes:
    """Returns all metrics in Prometheus' text format."""
    return prometheus_client.generate_latest(self._registry)
