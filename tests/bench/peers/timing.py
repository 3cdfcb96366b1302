"""The jobs, and how a step is timed: the median of blocks, after warming up."""
import json
import statistics
import time

import numpy as np

JOBS = {
    "mlp_16": {"inputs": (16,), "classes": 4, "batch": 8, "optimizer": "sgd", "fit_steps": 512},
    "mlp_mnist": {"inputs": (784,), "classes": 10, "batch": 32, "optimizer": "adam",
                  "fit_steps": 281},
    "mlp_512": {"inputs": (784,), "classes": 10, "batch": 128, "optimizer": "adam",
                "fit_steps": 70},
    "convnet": {"inputs": (28, 28, 1), "classes": 10, "batch": 64, "optimizer": "adam",
                "fit_steps": 50},
}

BLOCK_SECONDS = 0.25
BLOCKS = 9


def data(name, rows):
    job = JOBS[name]
    random = np.random.default_rng(0)
    x = random.random((rows, *job["inputs"]), dtype=np.float32)
    y = random.integers(0, job["classes"], rows).astype(np.int64)
    return x, y


def block_us(block, steps, warm_up):
    """Median microseconds of a step, where block() makes `steps` of them."""
    for _ in range(warm_up):
        block()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        block()
        times.append((time.perf_counter() - start) / steps * 1e6)
    return statistics.median(times)


def step_us(step):
    deadline = time.perf_counter() + 1.0
    for _ in range(3):  # compiles, perhaps for long
        step()
    count = 0
    start = time.perf_counter()
    while time.perf_counter() < max(deadline, start + 0.3):
        step()
        count += 1
    per_block = max(1, int(count * BLOCK_SECONDS / (time.perf_counter() - start)))

    def block():
        for _ in range(per_block):
            step()

    times = []
    for _ in range(BLOCKS):
        start = time.perf_counter()
        block()
        times.append((time.perf_counter() - start) / per_block * 1e6)
    return statistics.median(times)


def report(job, peer, threads, measure):
    """One line of JSON on standard output: the time, or what went wrong."""
    line = {"job": job, "peer": peer, "threads": threads}
    try:
        line["step_us"] = round(measure(), 2)
    except Exception as error:  # whatever a peer does: the others go on
        line["error"] = f"{type(error).__name__}: {error}"[:300]
    print(json.dumps(line), flush=True)
