r"""Tests a server under load, with slow, invalid and aborted requests.

    python -m benchmarks.serving_load \
      --checkpoint_path=model/train --vocab_file=word_counts.txt \
      --input_files='photos/*.jpg' --num_requests=10000

Starts a server on 127.0.0.1 and sends it requests from many concurrent clients:
valid images; invalid ones, which must be refused; bodies that arrive slowly;
and clients that disconnect before the response. Prints latencies, and the
server's memory after each tenth of the requests, which should stop growing.
Fails if a response is missing or wrong (equal images must have equal captions),
or if requests are left in the server at the end.
"""

import collections
from collections.abc import Callable
from collections.abc import Sequence
from concurrent import futures
import http.client
import random
import time
from typing import NamedTuple

from absl import flags
import tqdm

from benchmarks import captioning_inputs
from benchmarks import measure
from benchmarks import serving_clients

flags.adopt_module_key_flags(serving_clients)
flags.adopt_module_key_flags(captioning_inputs)

_NUM_REQUESTS = flags.DEFINE_integer(
    "num_requests", 1000, "Total number of requests.", lower_bound=10
)
_MAX_WAITING = flags.DEFINE_integer(
    "max_waiting",
    256,
    "The server's --max_waiting; with a small value, many responses are 503.",
    lower_bound=1,
)

_BUSY = 503
# Percentages of the kinds of requests.
_SHARES = {
    "good": 75,
    "no image": 5,
    "truncated": 5,
    "too many pixels": 5,
    "trickled": 5,
    "left while sending": 2,
    "left while waiting": 3,
}


class Kind(NamedTuple):
  """A kind of request.

  Attributes:
    send: Function that sends one, given the server's port and an image.
    statuses: The statuses that the response may have.
  """

  send: Callable[[int, bytes], serving_clients.Answer]
  statuses: Sequence[int]


def kinds() -> dict[str, Kind]:
  """Returns all kinds, by name."""
  body = serving_clients.request_body
  ask = serving_clients.connect_and_ask
  leave = serving_clients.leave
  left = [serving_clients.LEFT]
  return {
      "good": Kind(lambda port, image: ask(port, body(image)), [200]),
      "no image": Kind(lambda port, image: ask(port, body(b"x" * 999)), [400]),
      "truncated": Kind(
          lambda port, image: ask(port, body(image[: len(image) // 2])), [400]
      ),
      "too many pixels": Kind(
          lambda port, image: ask(port, body(bomb(image))), [400]
      ),
      "trickled": Kind(
          lambda port, image: serving_clients.trickle(port, body(image)), [200]
      ),
      "left while sending": Kind(
          lambda port, image: leave(port, body(image), share=0.5), left
      ),
      "left while waiting": Kind(
          lambda port, image: leave(port, body(image), share=1.0), left
      ),
  }


def bomb(jpeg: bytes) -> bytes:
  """Returns a JPEG with a size of 65,500 x 65,500 pixels in its header."""
  frame = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2"))
  size = (65500).to_bytes(2, "big")
  return jpeg[: frame + 5] + 2 * size + jpeg[frame + 9 :]


class Load:
  """A sender of requests, which checks their responses.

  Attributes:
    secs: Latencies in seconds, by kind of request.
    statuses: Counts of statuses, by kind of request.
    failures: Descriptions of wrong or missing responses.
  """

  def __init__(self, server: serving_clients.Server, images: Sequence[bytes]):
    self.secs: dict[str, list[float]] = collections.defaultdict(list)
    self.statuses: dict[str, collections.Counter] = collections.defaultdict(
        collections.Counter
    )
    self.failures: list[str] = []
    self._port = server.port
    self._images = images
    self._kinds = kinds()
    good = self._kinds["good"].send
    self._expected = [good(server.port, image).body for image in images]

  def send(self, number: int) -> None:
    """Sends a request, whose kind and image depend on its number."""
    rng = random.Random(number)
    (name,) = rng.choices(list(_SHARES), list(_SHARES.values()))
    index = rng.randrange(len(self._images))
    try:
      answer = self._kinds[name].send(self._port, self._images[index])
    except (OSError, http.client.HTTPException) as error:
      self.failures.append(f"{name}: no answer: {error!r}")
      return
    self.secs[name].append(answer.secs)
    self.statuses[name][answer.status] += 1
    if answer.status == _BUSY:
      time.sleep(1)
    elif answer.status not in self._kinds[name].statuses:
      self.failures.append(f"{name}: {answer.status}: {answer.body[:200]!r}")
    elif answer.status == 200 and not self._is_expected(answer.body, index):
      self.failures.append(f"{name}: another caption: {answer.body[:200]!r}")

  def _is_expected(self, body: bytes, index: int) -> bool:
    # Compares only words, as rounding of probabilities depends on the batch.
    def captions(text: bytes) -> list[bytes]:
      return text.split(b'"caption":"')[1].split(b'"')[:1]

    return captions(body) == captions(self._expected[index])

  def print_table(self) -> None:
    """Prints what answers took."""
    print("| request | answers | p50 ms | p95 ms | p99 ms |")
    print("| --- | --- |" + " ---: |" * 3)
    for name, secs in self.secs.items():
      statuses = ", ".join(
          f"{count} x {status or 'none'}"
          for status, count in sorted(self.statuses[name].items())
      )
      shown = serving_clients.percentiles(secs, [0.5, 0.95, 0.99])
      columns = " | ".join(f"{1000 * s:.0f}" for s in shown)
      print(f"| {name} | {statuses} | {columns} |")


def main(inputs: captioning_inputs.Inputs) -> None:
  """Runs the load and prints the tables.

  Raises:
    RuntimeError: If anything failed.
  """
  images = []
  for path in sorted(set(inputs.files)):
    with open(path, "rb") as file:
      images.append(file.read())
  with serving_clients.serve(
      f"--checkpoint_path={inputs.checkpoint}",
      f"--vocab_file={inputs.vocab_file}",
      f"--max_waiting={_MAX_WAITING.value}",
  ) as server:
    load = Load(server, images)
    start = time.perf_counter()
    memory = _send_all(load, server)
    secs = time.perf_counter() - start
    _await_rest(server)
    print(f"\n{measure.machine()}\n")
    load.print_table()
    print(
        f"\n{_NUM_REQUESTS.value / secs:.1f} requests/s;"
        f" {server.figure('im2txt_batch_size_sum'):.0f} images in"
        f" {server.figure('im2txt_batch_size_count'):.0f} batches.\n"
    )
    print("| requests | memory MiB |\n| ---: | ---: |")
    for count, mib in memory.items():
      print(f"| {count} | {mib:.0f} |")
  if load.failures:
    raise RuntimeError(
        f"{len(load.failures)} requests failed, such as: {load.failures[0]}"
    )


def _send_all(load: Load, server: serving_clients.Server) -> dict[int, float]:
  """Sends all requests; returns memory in MiB by number of requests."""
  total = _NUM_REQUESTS.value
  memory = {}
  with (
      futures.ThreadPoolExecutor(serving_clients.NUM_CLIENTS.value) as pool,
      tqdm.tqdm(total=total, disable=None) as bar,
  ):
    for tenth in range(10):
      numbers = range(tenth * total // 10, (tenth + 1) * total // 10)
      for _ in pool.map(load.send, numbers):
        bar.update()
      memory[numbers.stop] = server.memory_mib()
  return memory


def _await_rest(server: serving_clients.Server) -> None:
  """Waits until the server has noticed that clients have disconnected."""
  names = ("im2txt_images_waiting", "im2txt_requests_in_progress")
  for _ in range(50):
    # The request for the metrics is in progress too.
    if [server.figure(name) for name in names] == [0, 1]:
      return
    time.sleep(0.1)
  raise RuntimeError("The server still has requests of disconnected clients.")


if __name__ == "__main__":
  flags.FLAGS.set_default("num_clients", 64)
  captioning_inputs.run(main)
