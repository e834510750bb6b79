"""A script that stores each event exactly once: its id, the cursor, is in the same transaction."""

import sqlite3

from wanimate import Client

database = sqlite3.connect("videos.db", isolation_level=None)
database.execute("CREATE TABLE IF NOT EXISTS videos (event_id PRIMARY KEY, job_id, state, url)")
last = database.execute("SELECT event_id FROM videos ORDER BY rowid DESC LIMIT 1").fetchone()

with Client() as client:
    for event in client.events(after=last and last[0]):
        url = event.result.urls[0] if event.result else None
        database.execute("INSERT INTO videos VALUES (?, ?, ?, ?)", (event.id, event.job_id, event.state, url))
        print(event.job_id, event.state, url, flush=True)
