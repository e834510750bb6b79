"""A FastAPI backend without a public address, which reads events from Redis."""

import asyncio
import logging
import sqlite3
from contextlib import asynccontextmanager

from fastapi import FastAPI
from wanimate import AsyncClient, EventsLost, QueueUnavailable

client = AsyncClient()
database = sqlite3.connect("videos.db", isolation_level=None)
database.execute("CREATE TABLE IF NOT EXISTS videos (name PRIMARY KEY, state, url)")


async def follow():
    while True:
        try:
            async for event in client.events(group="backend"):
                name, url = event.labels.get("name"), event.result.urls[0] if event.result else None
                database.execute("REPLACE INTO videos VALUES (?, ?, ?)", (name, event.state, url))
        except (EventsLost, QueueUnavailable) as error:
            logging.warning("%s", error)
            await asyncio.sleep(1)


@asynccontextmanager
async def lifespan(app):
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follow())
        yield
        following.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/videos/{name}", status_code=202)
async def enqueue(name: str, image_url: str, video_url: str) -> str:
    labels, key = {"name": name}, f"video-{name}"
    return (await client.animate(image_url=image_url, video_url=video_url, labels=labels, idempotency_key=key)).id
