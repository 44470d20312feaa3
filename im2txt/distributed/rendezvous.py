"""A barrier for the processes of a run, before TensorFlow starts.

As measured with TensorFlow 2.21: for a missing process,
MultiWorkerMirroredStrategy waits an hour, after which only the chief's error
names it; ParameterServerStrategy waits longer than that, without a message. Of
different settings, only unequal shapes are an error, which does not name them;
with another learning rate, the variables of the replicas silently differ.

Here, the chief listens at its own address, and the others send it their
settings. The chief replies to all with the same error message, or with an empty
one if all are present and have the same settings:

    {"task": "worker 1", "settings": {"batch_size": 32}}   to the chief
    {"error": ""}                                          from the chief
"""

from collections.abc import Iterable
from collections.abc import Mapping
import json
import socket
import time
from typing import Any

from im2txt.distributed import clusters

_RETRY_SECS = 0.5
# The maximum size of a message. Anything longer comes from another program.
_MAX_BYTES = 1 << 20


class RendezvousError(ValueError):
  """A process of a run is missing or has other settings."""


def barrier(
    cluster: clusters.Cluster,
    settings: Mapping[str, Any],
    *,
    timeout_secs: float,
) -> None:
  """Waits for all processes of a run, and compares their settings.

  Args:
    cluster: The processes.
    settings: The settings that must be equal in all processes, as JSON values
      by name.
    timeout_secs: How long to wait, in seconds.

  Raises:
    RendezvousError: If a process is still missing after that time, or has other
      settings. Raised in all processes.
  """
  deadline = time.monotonic() + timeout_secs
  if cluster.is_chief:
    _run_chief(cluster, settings, deadline)
  else:
    _report_to_chief(cluster, settings, deadline)


def wait_for_servers(addresses: Iterable[str], *, timeout_secs: float) -> None:
  """Waits until a server listens at each address.

  Args:
    addresses: The addresses, such as "host0:2222".
    timeout_secs: How long to wait, in seconds.

  Raises:
    RendezvousError: If a server does not listen in time.
  """
  deadline = time.monotonic() + timeout_secs
  for address in addresses:
    while not is_listening(address):
      if time.monotonic() > deadline:
        raise RendezvousError(
            f"Timed out after {timeout_secs:g} seconds waiting for a process to"
            f" listen at {address}. Is it running, and is the address"
            " reachable?"
        )
      time.sleep(_RETRY_SECS)


def is_listening(address: str) -> bool:
  """Returns whether a server listens at an address such as "host0:2222"."""
  try:
    with socket.create_connection(_split(address), timeout=5):
      return True
  except OSError:
    return False


def _run_chief(cluster, settings, deadline: float) -> None:
  """Receives the settings of the others, and sends them the result."""
  missing = dict(cluster.tasks)
  del missing[cluster.task]
  peers: list[socket.socket] = []
  error = ""
  try:
    with _listen(cluster.tasks[cluster.task], deadline) as server:
      while missing and not error:
        peer, message = _accept(server, deadline)
        if peer is None:
          error = f"{cluster.task} timed out waiting for {', '.join(missing)}."
        elif missing.pop(str(message.get("task")), None):
          peers.append(peer)
          error = _difference(cluster.task, settings, message)
        else:
          peer.close()
    for peer in peers:
      peer.sendall(json.dumps({"error": error}).encode() + b"\n")
  finally:
    for peer in peers:
      peer.close()
  if error:
    raise RendezvousError(error)


def _accept(server: socket.socket, deadline: float):
  """Returns a connection and its message, or None after the deadline."""
  server.settimeout(max(0.01, deadline - time.monotonic()))
  try:
    peer, _ = server.accept()
  except TimeoutError:
    return None, {}
  try:
    peer.settimeout(5)
    message = _read(peer)
    if isinstance(message["settings"], dict):
      return peer, message
  except (OSError, ValueError, TypeError, KeyError):  # From another program.
    pass
  return peer, {}


def _report_to_chief(cluster, settings, deadline: float) -> None:
  """Sends the settings to the chief, and receives the result."""
  address = cluster.tasks[cluster.chief]
  host_and_port = _split(address)  # Outside the loop: fails at once if invalid.
  message = json.dumps({"task": cluster.task, "settings": dict(settings)})
  while time.monotonic() < deadline:
    try:
      with socket.create_connection(host_and_port, timeout=5) as chief:
        chief.sendall(message.encode() + b"\n")
        # The chief's deadline counts; it may have started later than this one.
        chief.settimeout(max(0.01, deadline - time.monotonic()) + 5)
        error = _read(chief)["error"]
    # The chief has not started yet, or another program uses its port.
    except (OSError, ValueError, TypeError, KeyError):
      time.sleep(_RETRY_SECS)
      continue
    if error:
      raise RendezvousError(error)
    return
  raise RendezvousError(
      f"{cluster.task} timed out waiting for {cluster.chief} at {address}."
  )


def _listen(address: str, deadline: float) -> socket.socket:
  _, port = _split(address)
  while True:
    try:
      return socket.create_server(("", port))
    except OSError as error:  # An earlier run may be about to end.
      if time.monotonic() > deadline:
        raise RendezvousError(
            f"Can't listen on port {port} of this machine: {error.strerror}."
        ) from error
      time.sleep(_RETRY_SECS)


def _read(connection: socket.socket) -> Any:
  """Receives a line, and returns its JSON value."""
  with connection.makefile("rb") as file:
    return json.loads(file.readline(_MAX_BYTES))


def _difference(task: str, settings, message) -> str:
  """Describes the first different setting; empty if there is none."""
  theirs = message["settings"]
  ours = json.loads(json.dumps(dict(settings)))
  for name in sorted({*ours, *theirs}):
    if ours.get(name) != theirs.get(name):
      return (
          "All processes must have the same settings, but"
          f" {message['task']} has {name}={theirs.get(name)!r} and {task} has"
          f" {ours.get(name)!r}."
      )
  return ""


def _split(address: str) -> tuple[str, int]:
  host, _, port = address.rpartition(":")
  try:
    return host.strip("[]"), int(port)
  except ValueError:
    raise RendezvousError(
        f"An address has the form host:port. Got: {address!r}."
    ) from None
