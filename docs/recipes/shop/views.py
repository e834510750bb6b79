import os

from django.db import transaction
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from wanimate import Client, Event, WebhookInvalid

from .models import Video

client = Client()


def enqueue(request):
    with transaction.atomic():
        video = Video.objects.create(image_url=request.POST["image_url"], video_url=request.POST["video_url"])
        transaction.on_commit(lambda: client.submit(video.job()))
    return HttpResponse(video.id, status=202)


@csrf_exempt
def job_ended(request):
    try:
        event = Event.from_webhook(request.body, request.headers, os.environ["WANIMATE_WEBHOOK_SECRET"])
    except WebhookInvalid:
        return HttpResponse(status=400)
    url = event.result.urls[0] if event.result else ""
    Video.objects.filter(id=event.labels["video"]).update(state=event.state, result_url=url)
    return HttpResponse(status=204)


urlpatterns = [path("videos", enqueue), path("webhooks/wanimate", job_ended)]
