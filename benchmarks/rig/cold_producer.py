"""A producer process that has just begun: `cold_producer.py many|single COUNT` prints seconds and CPU seconds.

`many` times the first call of the process, `submit_many`; `single` times calls of `submit` after a first one.
"""

import sys
import time

from wanimate import AnimateJob, Client

is_bulk, count = sys.argv[1] == "many", int(sys.argv[2])
jobs = [
    AnimateJob(image_url=f"https://example.com/{number}.png", video_url="https://example.com/motion.mp4")
    for number in range(count)
]
with Client() as client:
    if not is_bulk:
        client.submit(jobs[0])
    began, cpu = time.perf_counter(), time.process_time()
    if is_bulk:
        client.submit_many(jobs)
    else:
        for job in jobs:
            client.submit(job)
    print(time.perf_counter() - began, time.process_time() - cpu)
