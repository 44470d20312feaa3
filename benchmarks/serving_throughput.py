r"""Many clients of a server, against the captioner alone in full batches.

    python -m benchmarks.serving_throughput \
      --checkpoint_path=model/train --vocab_file=word_counts.txt \
      --input_files='photos/*.jpg' --num_images=256

Each client asks for one image at a time, over HTTP on 127.0.0.1; server and
clients share the processor. The two work by turns, a round each. What a server
costs is HTTP itself, and that batches are not always full.
"""

from collections.abc import Sequence
from concurrent import futures
import statistics
import threading
import time

from absl import flags
import tqdm

from benchmarks import captioning
from benchmarks import measure
from benchmarks import serving_clients
from benchmarks import stand_ins

flags.adopt_module_key_flags(captioning)
flags.adopt_module_key_flags(serving_clients)
flags.adopt_module_key_flags(stand_ins)


def ask_for_all(
    port: int, bodies: Sequence[bytes], num_clients: int
) -> list[serving_clients.Answer]:
  """Has so many clients send requests, each one its next one when it can.

  Args:
    port: The server's.
    bodies: The requests' bodies.
    num_clients: How many are sent at a time.

  Returns:
    The answers, in any order.

  Raises:
    RuntimeError: If one is not 200.
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
      raise RuntimeError(f"Answered {answer.status}: {answer.body[:200]!r}")
  return answers


def main(inputs: stand_ins.Inputs) -> None:
  """Prints the table."""
  caption_alone = captioning.make_captions_in_batches(
      inputs, "float32", captioning.BATCH_SIZE.value
  )
  bodies = []
  for path in inputs.files:
    with open(path, "rb") as file:
      bodies.append(serving_clients.request_body(file.read()))
  rates: dict[str, list[float]] = {"captioner alone": [], "served": []}
  latencies: list[float] = []
  with serving_clients.serve(
      f"--checkpoint_path={inputs.checkpoint}",
      f"--vocab_file={inputs.vocab_file}",
      f"--batch_size={captioning.BATCH_SIZE.value}",
  ) as server:

    def be_served() -> int:
      answers = ask_for_all(
          server.port, bodies, serving_clients.NUM_CLIENTS.value
      )
      latencies.extend(answer.secs for answer in answers)
      return len(answers)

    runs = {"captioner alone": caption_alone, "served": be_served}
    for run in runs.values():  # To warm up.
      run()
    latencies.clear()
    for _ in tqdm.trange(stand_ins.ROUNDS.value, unit="round", disable=None):
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
  print("| variant | images/s | of it alone | p50 s | p95 s | p99 s |")
  print("| --- |" + " ---: |" * 5)
  print(f"| captioner alone | {alone:.1f} | 100% | | | |")
  columns = " | ".join(f"{secs:.2f}" for secs in shown)
  print(
      f"| {serving_clients.NUM_CLIENTS.value} clients | {served:.1f} |"
      f" {100 * served / alone:.0f}% | {columns} |"
  )
  print(f"\nMean batch: {mean_size:.1f} images.")


if __name__ == "__main__":
  # Eight full batches a round: the last one, seldom full, counts less.
  flags.FLAGS.set_default("num_images", 256)
  flags.FLAGS.set_default("rounds", 3)
  stand_ins.run(main)
