"""A Flask backend that receives a webhook when a job has ended, and acts on each event once."""

import os
import sqlite3

from flask import Flask, request
from wanimate import Client, Event, WebhookInvalid

app, client = Flask(__name__), Client()
database = sqlite3.connect("videos.db", isolation_level=None, check_same_thread=False)
database.execute("CREATE TABLE IF NOT EXISTS videos (event_id PRIMARY KEY, name, state, url)")


@app.post("/videos/<name>")
def enqueue(name):
    job = client.animate(
        image_url=request.args["image_url"],
        video_url=request.args["video_url"],
        labels={"name": name},
        idempotency_key=f"video-{name}",
        webhook_url=os.environ["BACKEND_URL"] + "/webhooks/wanimate",
    )
    return job.id, 202


@app.post("/webhooks/wanimate")
def job_ended():
    try:
        event = Event.from_webhook(request.get_data(), request.headers, os.environ["WANIMATE_WEBHOOK_SECRET"])
    except WebhookInvalid:
        return "", 400
    url = event.result.urls[0] if event.result else None
    row = event.id, event.labels.get("name"), event.state, url
    if database.execute("INSERT OR IGNORE INTO videos VALUES (?, ?, ?, ?)", row).rowcount:
        print("a mail to the customer:", *row, flush=True)  # what must not happen twice
    return "", 204


@app.get("/videos/<name>")
def read(name):
    row = database.execute("SELECT state, url FROM videos WHERE name = ?", [name]).fetchone()
    return dict(zip(("state", "url"), row or ("pending", None), strict=True))
