import os

from django.db import models
from wanimate import AnimateJob


class Video(models.Model):
    image_url = models.URLField()
    video_url = models.URLField()
    state = models.TextField(default="pending")
    result_url = models.URLField(default="")

    def job(self):
        return AnimateJob(
            image_url=self.image_url,
            video_url=self.video_url,
            labels={"video": str(self.id)},
            idempotency_key=f"video-{self.id}",
            webhook_url=os.environ["BACKEND_URL"] + "/webhooks/wanimate",
        )
