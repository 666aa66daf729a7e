"""How ``lowlight serve`` bears load: requests a second, p50 and p99, and whether its memory stays flat.

Starts the real command on a free port, posts one picture again and again from several connections, and reads the
server's memory from /proc as it goes. ``--width 4`` serves a tiny untrained model instead of a real one, so that the
server is measured and not the network:

    python experiments/bench/serving.py --requests 500 --clients 8 --width 4 --size 200 300
    python experiments/bench/serving.py --requests 50 --clients 4 --size 200 300
"""

import argparse
import http.client
import io
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lowlight_cli.core import checkpoints
from lowlight_cli.core.networks import RetinexNet


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model
        if options.width:
            model = f"{folder}/tiny.safetensors"
            checkpoints.save(RetinexNet(width=options.width), Path(model))
        command = [sys.executable, "-m", "lowlight_cli", "serve", "--port", "0", "--model", model, "--device", "cpu"]
        limits = ["--workers", options.workers, "--queue", options.queue, "--threads", options.threads]
        server = subprocess.Popen([*command, *map(str, limits)], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().rpartition(":")[2])
            measure(port, server.pid, options)
        finally:
            server.terminate()
            print(f"ended with {server.wait(60)}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--model", default="retinexnet")
    parser.add_argument("--width", type=int, default=0)
    parser.add_argument("--size", dest="height_width", type=int, nargs=2, default=(400, 600))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--queue", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def measure(port: int, pid: int, options: argparse.Namespace) -> None:
    """Post from all clients at once, and print what came of it."""
    body, kind = upload(*options.height_width)
    seconds: list[float] = []
    statuses: Counter[int] = Counter()
    answers: set[int] = set()
    memory: dict[int, float] = {}
    left = iter(range(options.requests))
    lock = threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        while True:
            with lock:
                if next(left, None) is None:
                    return
            while True:
                began = time.monotonic()
                connection.request("POST", "/api/enhance", body, {"Content-Type": kind})
                answer = connection.getresponse()
                content = answer.read()
                with lock:
                    statuses[answer.status] += 1
                if answer.status != 503:
                    break
                time.sleep(float(answer.headers["Retry-After"]))
            with lock:
                seconds.append(time.monotonic() - began)
                answers.add(hash(content))
                if len(seconds) in (1, 20, 50, *range(100, options.requests + 1, 100)):
                    memory[len(seconds)] = resident(pid)

    began = time.monotonic()
    threads = [threading.Thread(target=client) for _ in range(options.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.monotonic() - began
    height, width = options.height_width
    cuts = statistics.quantiles(seconds, n=100)
    print(f"{len(seconds)} pictures of {height}x{width} from {options.clients} clients, {vars(options)}")
    print(f"torch {torch.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{len(seconds) / spent:.2f} requests/s   p50 {cuts[49]:.3f} s   p99 {cuts[98]:.3f} s   {dict(statuses)}")
    print(f"{len(answers)} different answer(s) to one picture")
    print("resident MB after n requests: " + ", ".join(f"{count}: {size:.0f}" for count, size in memory.items()))


def upload(height: int, width: int) -> tuple[bytes, str]:
    """A form with one dark JPEG of noise in it, and its content type."""
    picture = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 60, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(picture, "JPEG")
    head = b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="night.jpg"\r\n\r\n'
    return head + picture.getvalue() + b"\r\n--frontier--\r\n", "multipart/form-data; boundary=frontier"


def resident(pid: int) -> float:
    """MB that a process holds in memory."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    main()
