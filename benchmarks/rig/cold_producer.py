"""A producer process that has just begun: `cold_producer.py many|single COUNT` prints seconds and CPU seconds.

`many` times the first call of the process, `submit_many`; `single` times calls of `submit` after a first one.
"""

from __future__ import annotations

import sys
import time

from wanimate import AnimateJob, Client


def main() -> None:
    """Enqueue, and print what it took."""
    way, count = sys.argv[1], int(sys.argv[2])
    jobs = [
        AnimateJob(image_url=f"https://example.com/{number}.png", video_url="https://example.com/motion.mp4")
        for number in range(count)
    ]
    with Client() as client:
        if way == "single":
            client.submit(jobs[0])
        began, cpu = time.perf_counter(), time.process_time()
        if way == "many":
            client.submit_many(jobs)
        else:
            for job in jobs:
                client.submit(job)
        print(time.perf_counter() - began, time.process_time() - cpu)


if __name__ == "__main__":
    main()
