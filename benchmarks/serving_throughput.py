r"""Measures a server with many clients, against the captioner alone.

    python -m benchmarks.serving_throughput \
      --checkpoint_path=model/train --vocab_file=word_counts.txt \
      --input_files='photos/*.jpg' --num_images=256

Each client requests captions of one image at a time, by HTTP on 127.0.0.1;
server and clients share the processor. The captioner alone works in full
batches. Both take turns, one round each. The difference is the cost of HTTP and
of batches that are not full.
"""

from collections.abc import Sequence
from concurrent import futures
import statistics
import threading
import time

from absl import flags
import tqdm

from benchmarks import captioning
from benchmarks import captioning_inputs
from benchmarks import measure
from benchmarks import serving_clients

flags.adopt_module_key_flags(captioning)
flags.adopt_module_key_flags(serving_clients)
flags.adopt_module_key_flags(captioning_inputs)


def ask_for_all(
    port: int, bodies: Sequence[bytes], num_clients: int
) -> list[serving_clients.Answer]:
  """Sends requests from concurrent clients.

  Args:
    port: The port of the server.
    bodies: The bodies of the requests.
    num_clients: The number of concurrent clients, each with one request at a
      time.

  Returns:
    The responses, in any order.

  Raises:
    RuntimeError: If the status of a response is not 200.
  """
  lock = threading.Lock()
  remaining = iter(bodies)

  def next_body() -> bytes | None:
    with lock:
      return next(remaining, None)

  def work() -> list[serving_clients.Answer]:
    return list(serving_clients.keep_asking(port, next_body))

  with futures.ThreadPoolExecutor(num_clients) as pool:
    clients = [pool.submit(work) for _ in range(num_clients)]
    answers = [answer for client in clients for answer in client.result()]
  for answer in answers:
    if answer.status != 200:
      raise RuntimeError(f"Status {answer.status}: {answer.body[:200]!r}")
  return answers


def main(inputs: captioning_inputs.Inputs) -> None:
  """Prints the table."""
  caption_alone = captioning.make_captions_in_batches(
      inputs, "float32", captioning.BATCH_SIZE.value
  )
  bodies = []
  for path in inputs.files:
    with open(path, "rb") as file:
      bodies.append(serving_clients.request_body(file.read()))
  rates: dict[str, list[float]] = {"captioner alone": [], "server": []}
  latencies: list[float] = []
  with serving_clients.serve(
      f"--checkpoint_path={inputs.checkpoint}",
      f"--vocab_file={inputs.vocab_file}",
      f"--batch_size={captioning.BATCH_SIZE.value}",
  ) as server:

    def caption_by_server() -> int:
      answers = ask_for_all(
          server.port, bodies, serving_clients.NUM_CLIENTS.value
      )
      latencies.extend(answer.secs for answer in answers)
      return len(answers)

    runs = {"captioner alone": caption_alone, "server": caption_by_server}
    for run in runs.values():  # Warms up.
      run()
    latencies.clear()
    for _ in tqdm.trange(
        captioning_inputs.ROUNDS.value, unit="round", disable=None
    ):
      for name, run in runs.items():
        start = time.perf_counter()
        rates[name].append(run() / (time.perf_counter() - start))
    num_batches = server.figure("im2txt_batch_size_count")
    mean_size = server.figure("im2txt_batch_size_sum") / num_batches
  _print_table(rates, latencies, mean_size)


def _print_table(
    rates: dict[str, list[float]], latencies: list[float], mean_size: float
) -> None:
  alone, served = (statistics.median(each) for each in rates.values())
  shown = serving_clients.percentiles(latencies, [0.5, 0.95, 0.99])
  print(f"\n{measure.machine()}\n")
  print("| variant | images/s | share of alone | p50 s | p95 s | p99 s |")
  print("| --- |" + " ---: |" * 5)
  print(f"| captioner alone | {alone:.1f} | 100% | | | |")
  columns = " | ".join(f"{secs:.2f}" for secs in shown)
  print(
      f"| {serving_clients.NUM_CLIENTS.value} clients | {served:.1f} |"
      f" {100 * served / alone:.0f}% | {columns} |"
  )
  print(f"\nMean batch size: {mean_size:.1f} images.")


if __name__ == "__main__":
  # Eight batches per round, so that the last one, seldom full, counts less.
  flags.FLAGS.set_default("num_images", 256)
  flags.FLAGS.set_default("rounds", 3)
  captioning_inputs.run(main)
