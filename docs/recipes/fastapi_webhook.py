"""A FastAPI backend that receives a webhook when a job has ended."""

import os
import sqlite3

from fastapi import FastAPI, HTTPException, Request
from wanimate import AsyncClient, Event, WebhookInvalid

app, client = FastAPI(), AsyncClient()
database = sqlite3.connect("videos.db", isolation_level=None)
database.execute("CREATE TABLE IF NOT EXISTS videos (name PRIMARY KEY, state, url)")


@app.post("/videos/{name}", status_code=202)
async def enqueue(name: str, image_url: str, video_url: str) -> str:
    job = await client.animate(
        image_url=image_url,
        video_url=video_url,
        labels={"name": name},
        idempotency_key=f"video-{name}",
        webhook_url=os.environ["BACKEND_URL"] + "/webhooks/wanimate",
    )
    return job.id


@app.post("/webhooks/wanimate", status_code=204)
async def job_ended(request: Request) -> None:
    try:
        event = Event.from_webhook(await request.body(), request.headers, os.environ["WANIMATE_WEBHOOK_SECRET"])
    except WebhookInvalid as error:
        raise HTTPException(400) from error
    url = event.result.urls[0] if event.result else None
    database.execute("REPLACE INTO videos VALUES (?, ?, ?)", (event.labels.get("name"), event.state, url))


@app.get("/videos/{name}")
async def read(name: str) -> dict[str, str | None]:
    row = database.execute("SELECT state, url FROM videos WHERE name = ?", [name]).fetchone()
    return dict(zip(("state", "url"), row or ("pending", None), strict=True))
