"""What training on many GPUs would cost: a model, of what one was measured to do and of assumptions."""

from typing import Any, NamedTuple

GPUS = (1, 8, 64, 512)
TIMES = (1, 10, 100)  # the size of fastMRI's single-coil knees
KNEE_SLICES, KNEE_BYTES = 34_742, 66e9  # of their training set; bytes of k-space
VALUE_BYTES = {"float32": 4, "bf16": 2}  # of a gradient's value as it is exchanged
LEFT_OUT = [
    "processes that wait for the slowest of them, and starting them",
    "validation, the first pass that fills a cache, and what the host's processors do to a slice",
    "that whether a signal came is asked by gloo, between processors, whose latency may be longer than the "
    "devices' own",
    "gathering gradients into one buffer and back, and exchanges by trees or by host first, which a library "
    "may choose where a ring is slow",
    "how many more steps it takes to learn as much from larger ones",
]


class Assumptions(NamedTuple):
    """What is taken for granted of a cluster; nothing of it was measured."""

    gpus_per_host: int = 8
    link_bandwidth: float = 50e9
    network_bandwidth: float = 25e9
    storage_bandwidth: float = 2e9
    link_latency: float = 10e-6
    network_latency: float = 30e-6
    host_memory: float = 1e12
    device_rate: float | None = None
    device_slices: int | None = None


MEANING = {  # of each assumption: its unit, and words
    "gpus_per_host": ("devices", "of a host"),
    "link_bandwidth": ("bytes/s", "from a GPU to the next one of its host, each way"),
    "network_bandwidth": ("bytes/s", "from a host to the next one, each way"),
    "storage_bandwidth": ("bytes/s", "that a host reads or writes"),
    "link_latency": ("s", "of a message within a host"),
    "network_latency": ("s", "of a message from host to host"),
    "host_memory": ("bytes", "of a host that a cache may take"),
    "device_rate": ("slices/s", "of one device; none: as measured here"),
    "device_slices": ("slices", "of a step and device; none: as measured here"),
}


def assumptions(given: list[str]) -> Assumptions:
    """The defaults with `name=value` set anew. Raises ValueError in one line."""
    found: dict[str, Any] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in MEANING:
            raise ValueError(
                f"--assume: must be NAME=VALUE with a name of {', '.join(MEANING)}; got '{text}'"
            )
        whole = name in ("gpus_per_host", "device_slices")
        try:
            found[name] = int(value) if whole else float(value)
        except ValueError:
            found[name] = 0
        if not 0 < found[name] < float("inf"):
            kind = "a whole number" if whole else "a number"
            raise ValueError(f"--assume: {name} must be {kind} of {MEANING[name][0]} above 0; got '{value}'")
    return Assumptions(**found)


class Measured(NamedTuple):
    """What one device was measured to do, and what there is to move."""

    step_seconds: float  # of a step that exchanges nothing
    slices: float  # of it
    gradient_values: int
    exchanges: int  # of a step: the gradients', and small ones (slices, a signal) that are all latency
    read_bytes: float  # of a slice, from files
    kept_bytes: dict[str, float]  # of a slice in a cache, by data.cache_dtype
    checkpoint_bytes: int
    save_every: int  # steps

    def on(self, assumed: Assumptions) -> "Measured":
        """What the assumed device would do, where one is assumed, else the measured one."""
        slices = assumed.device_slices or self.slices
        rate = assumed.device_rate or self.slices / self.step_seconds
        return self._replace(slices=slices, step_seconds=slices / rate)


class Step(NamedTuple):
    """Seconds of the parts of a step.

    The exchange follows the gradient's computation, and is not hidden behind it; files are read beside both;
    while a checkpoint is written all wait, of which this is a step's share.
    """

    compute: float
    exchange: float
    reading: float
    saving: float

    @property
    def seconds(self) -> float:
        return max(self.compute + self.exchange, self.reading) + self.saving

    @property
    def limit(self) -> str:
        """What most of the time goes to."""
        if self.reading > self.compute + self.exchange:
            return "reading"
        return max(("compute", "exchange", "saving"), key=lambda part: getattr(self, part))


def ring_seconds(processes: int, size: float, bandwidth: float, latency: float) -> float:
    """Seconds to add up some bytes over a ring of n processes: 2 (n - 1) messages of an n-th each."""
    messages = 2 * (processes - 1)
    return messages * (size / processes / bandwidth + latency)


def exchange_seconds(processes: int, size: float, count: int, bandwidth: float, latency: float) -> float:
    """Seconds of the `count` exchanges of a step, which together have some bytes."""
    messages = 2 * (processes - 1)
    return ring_seconds(processes, size, bandwidth, latency) + (count - 1) * messages * latency


def hosts_of(gpus: int, assumed: Assumptions) -> int:
    return -(-gpus // assumed.gpus_per_host)


def step_of(measured: Measured, gpus: int, value_bytes: int, assumed: Assumptions) -> Step:
    """A step on so many GPUs, each with the slices that one had."""
    bandwidth, latency = assumed.link_bandwidth, assumed.link_latency
    if hosts_of(gpus, assumed) > 1:  # a ring through all hosts is as slow as its slowest part
        bandwidth = min(bandwidth, assumed.network_bandwidth)
        latency = max(latency, assumed.network_latency)
    read = _per_host(gpus, assumed) * measured.slices * measured.read_bytes
    return Step(
        measured.step_seconds,
        exchange_seconds(
            gpus, measured.gradient_values * value_bytes, measured.exchanges, bandwidth, latency
        ),
        read / assumed.storage_bandwidth,
        measured.checkpoint_bytes / assumed.storage_bandwidth / measured.save_every,
    )


def _per_host(gpus: int, assumed: Assumptions) -> int:
    return min(gpus, assumed.gpus_per_host)


def beyond(measured: Measured, assumed: Assumptions) -> dict[str, Any]:
    """The model's rows with its assumptions, as they go to JSON."""
    device = measured.on(assumed)
    return {
        "assumptions": assumed._asdict(),
        "device": device._asdict(),
        "steps": [
            step_row(device, n, kind, assumed)
            for n in GPUS
            for kind in VALUE_BYTES
            if n > 1 or kind == "float32"
        ],
        "epochs": [epoch_row(device, n, times, assumed) for times in TIMES for n in GPUS],
        "leaves_out": LEFT_OUT,
    }


def step_row(measured: Measured, gpus: int, kind: str, assumed: Assumptions) -> dict[str, Any]:
    """A step's parts and rates, what limits it, and how fast files would have to be read not to."""
    step = step_of(measured, gpus, VALUE_BYTES[kind], assumed)
    hosts, slices = hosts_of(gpus, assumed), gpus * measured.slices
    unhindered = step.compute + step.exchange
    return {
        "gpus": gpus,
        "hosts": hosts,
        "exchanged": kind,
        **step._asdict(),
        "seconds": step.seconds,
        "steps_per_second": 1 / step.seconds,
        "slices_per_second": slices / step.seconds,
        "efficiency": step.compute / step.seconds,
        "limit": step.limit,
        "host_bandwidth": _per_host(gpus, assumed) * measured.slices * measured.read_bytes / unhindered,
        "total_bandwidth": slices * measured.read_bytes / unhindered,
    }


def epoch_row(measured: Measured, gpus: int, times: int, assumed: Assumptions) -> dict[str, Any]:
    """A pass over a set of so many times fastMRI's knees, and what a host would have to keep of it."""
    step, slices = step_of(measured, gpus, VALUE_BYTES["float32"], assumed), times * KNEE_SLICES
    steps, hosts = slices / (gpus * measured.slices), hosts_of(gpus, assumed)
    kept = {name: slices * size for name, size in measured.kept_bytes.items()}
    return {
        "gpus": gpus,
        "times": times,
        "slices": slices,
        "kspace_bytes": times * KNEE_BYTES,
        "steps": steps,
        "seconds": steps * step.seconds,
        "cached_seconds": steps * step._replace(reading=0).seconds,
        "cache_bytes": kept,  # of all slices on every host
        "share_bytes": {name: size / hosts for name, size in kept.items()},
        "fits": {name: size <= assumed.host_memory for name, size in kept.items()},
        "share_fits": {name: size / hosts <= assumed.host_memory for name, size in kept.items()},
    }
