"""The two kinds of job, validated by the vendor's rules before they are enqueued."""

from __future__ import annotations

import hashlib
import json
import uuid
from inspect import cleandoc
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Required, TypedDict

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from ..errors import InvalidRequest, SettingsError
from .names import CONTRACT_HEADER, CONTRACT_VERSION, ENTRY_QUEUE, GENERATE_TASK
from .trace_context import current_trace
from .urls import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS, check_format, check_http_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Signature

Provider = Literal["auto", "value", "official"]
Resolution = Literal["480p", "720p"]
OnUnknown = Literal["fail", "resubmit"]

#: Labels are for people and dashboards; store larger data in your own database.
MAX_LABELS: Final = 8
MAX_LABEL_CHARACTERS: Final = 64
#: Names with a special meaning in kombu's JSON (kombu.utils.json).
_TYPE_MARKERS: Final = frozenset({"__type__", "__value__"})
#: Vendor document, "Parameters".
MAX_SEED: Final = 2**31 - 1
MAX_PROMPT_CHARACTERS: Final = 10_000
#: A year.
MAX_DEADLINE_SECONDS: Final = 366 * 86_400
#: A day: a larger number was probably in milliseconds.
MAX_VIDEO_SECONDS: Final = 86_400
#: Maximum number of retries after transient failures.
MAX_RETRIES: Final = 10
#: Invalid fields that one message names.
_SHOWN_PROBLEMS: Final = 10

_JOB_ID_NAMESPACE: Final = uuid.UUID("5e3c5f0e-6f63-5a58-9d0d-7f0b1f5f6c11")


class JobFields(TypedDict, total=False):
    """The fields of `AnimateJob` and `ReplaceJob`, for type checkers and editors."""

    image_url: Required[str]
    video_url: Required[str]
    prompt: str | None
    resolution: Resolution
    seed: int
    provider: Provider
    priority: int
    labels: dict[str, str]
    idempotency_key: str | None
    on_unknown: OnUnknown | None
    retry_transient: int | None
    deadline_seconds: float | None
    video_seconds: float | None
    webhook_url: str | None


class _Job(BaseModel):
    """A request to the vendor, with options of the queue.

    Args:
        image_url: The URL of the character image: JPG, JPEG, PNG or WEBP, if its path has an extension.
        video_url: The URL of the motion reference video: MP4, MOV or M4V, if its path has an extension.
        prompt: Text prompt for the model; not empty.
        resolution: `480p` or `720p`.
        seed: 0 to 2147483647 for reproducible videos, or -1 for random.
        provider: The vendor's routing: `auto`, `value` or `official`.
        priority: 0 (most urgent) to 9, in four bands: 0-2, 3-5, 6-8 and 9. First in, first out within a band.
        labels: At most 8 short strings, shown in status and Flower.
        idempotency_key: Jobs with the same key are one job, which is enqueued and billed once.
        on_unknown: What happens if the vendor's answer to the submission is lost: `fail` (never billed twice) or
            `resubmit` (may be billed twice). Default: the worker's setting.
        retry_transient: Maximum number of retries, 0 to 10, after failures that the vendor documents as transient. Each
            may be billed. Default: the account's setting.
        deadline_seconds: Time limit from when a worker records the job. After it, the job ends as `DeadlineExceeded`:
            at once and unbilled while it waits, or after a last status request while it runs.
        video_seconds: The length of the motion video, to estimate the cost; not sent to the vendor.
        webhook_url: Receives a webhook (Standard Webhooks) when the job ends. Default: the account's setting.

    Raises:
        InvalidRequest: A field breaks the vendor's rules (vendor document, "Parameters"); `field` names it.
    """

    # Built for the first job: programs that only read need no validator.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    #: The vendor's behaviour type.
    type: ClassVar[Literal["animate", "replace"]]
    #: Whether to check values by the vendor's rules; a recorded job was checked by the rules of its time.
    _is_new: ClassVar[bool] = True

    image_url: StrictStr
    video_url: StrictStr
    prompt: StrictStr | None = Field(default=None, max_length=MAX_PROMPT_CHARACTERS)
    resolution: Resolution = "480p"
    seed: StrictInt = -1
    provider: Provider = "auto"
    priority: StrictInt = Field(default=5, ge=0, le=9)
    labels: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    idempotency_key: StrictStr | None = Field(default=None, min_length=1, max_length=255)
    on_unknown: OnUnknown | None = None
    retry_transient: StrictInt | None = Field(default=None, ge=0, le=MAX_RETRIES)
    deadline_seconds: StrictFloat | None = Field(default=None, gt=0, le=MAX_DEADLINE_SECONDS)
    video_seconds: StrictFloat | None = Field(default=None, gt=0, le=MAX_VIDEO_SECONDS)
    webhook_url: StrictStr | None = None

    if not TYPE_CHECKING:  # type checkers read the fields; at run time, raise our error instead of pydantic's

        def __init__(self, /, **fields: Any) -> None:
            try:
                super().__init__(**fields)
            except ValidationError as error:
                raise _invalid(error) from None

    @field_validator("image_url", "video_url", mode="before")
    @classmethod
    def _exactly_one(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            raise ValueError(f"expected exactly one URL as a string, got a list of {len(value)}")  # noqa: TRY004
        return value

    @field_validator("image_url", "video_url")
    @classmethod
    def _is_http_url(cls, value: str, info: ValidationInfo) -> str:
        check_http_url(value)
        if cls._is_new:
            is_image = info.field_name == "image_url"
            check_format(value, *(("images", IMAGE_EXTENSIONS) if is_image else ("videos", VIDEO_EXTENSIONS)))
        return value

    @field_validator("webhook_url")
    @classmethod
    def _can_be_called(cls, value: str | None) -> str | None:
        if value is not None:
            check_http_url(value)
        return value

    @field_validator("seed")
    @classmethod
    def _within_range(cls, value: int) -> int:
        if cls._is_new and not -1 <= value <= MAX_SEED:
            raise ValueError(f"expected -1 (random) or an integer from 0 to {MAX_SEED}")
        return value

    @field_validator("prompt")
    @classmethod
    def _not_blank(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("must not be empty; omit it instead")
        return value

    @field_validator("image_url", "video_url", "prompt", "labels", "idempotency_key")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        try:
            for text in chain.from_iterable(value.items()) if isinstance(value, dict) else (value or "",):
                text.encode()
        except UnicodeEncodeError:
            raise ValueError("not valid Unicode text (it contains half of a surrogate pair)") from None
        return value

    @field_validator("labels")
    @classmethod
    def _small(cls, value: dict[str, str]) -> dict[str, str]:
        if len(value) > MAX_LABELS:
            raise ValueError(f"expected at most {MAX_LABELS} labels")
        if any(len(text) > MAX_LABEL_CHARACTERS for pair in value.items() for text in pair):
            raise ValueError(f"names and values of labels are limited to {MAX_LABEL_CHARACTERS} characters")
        if value.keys() == _TYPE_MARKERS:
            raise ValueError("Celery reserves the label names __type__ and __value__: use other names")
        return value

    @property
    def deadline_ms(self) -> int | None:
        """The deadline in whole milliseconds, at least 1; None without one."""
        return None if self.deadline_seconds is None else max(1, round(self.deadline_seconds * 1000))

    def to_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of the `wanimate.generate` task, without defaults."""
        return {"type": self.type, **self.model_dump(exclude_defaults=True)}

    def fingerprint(self) -> str:
        """Return a digest of the request without the options of the queue."""
        request = self.model_dump(include={"image_url", "video_url", "prompt", "resolution", "seed", "provider"})
        canonical = json.dumps({"type": self.type, **request}, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def job_id(self, account: str) -> str:
        """Return the job id: derived from the idempotency key and the account, or a new one."""
        if self.idempotency_key is None:
            return str(uuid.uuid4())
        return str(uuid.uuid5(_JOB_ID_NAMESPACE, f"{account}:{self.idempotency_key}"))

    def summary(self) -> str:
        """Return the fields for logs, events and Flower: no URL, which may be signed, and no prompt."""
        shown: dict[str, object] = {"type": self.type, "resolution": self.resolution}
        if self.labels:
            shown["labels"] = self.labels
        return str(shown)

    def message_options(self) -> dict[str, Any]:
        """Return the Celery options for messages of this job."""
        return {
            "queue": ENTRY_QUEUE,
            "priority": self.priority,
            "argsrepr": "()",
            "kwargsrepr": self.summary(),
            "headers": {CONTRACT_HEADER: CONTRACT_VERSION, **current_trace()},
        }

    def signature(self) -> Signature[Any]:
        """Return an immutable Celery signature for the job.

        It works in `chain`, `group`, `chord`, `link`, `link_error` and `self.replace` of your own Celery app, which
        must use the same Redis as broker and result backend (Celery documentation, "Canvas"). With an idempotency key
        you can send it several times: each is a task with its own callbacks, and all end with the same job, which is
        billed once.

        Raises:
            SettingsError: The app runs tasks in the caller's process (`task_always_eager`).
        """
        from celery import Signature, current_app

        if current_app.conf.task_always_eager:
            raise SettingsError(
                "task_always_eager: a remote job cannot run in the caller's process; Celery would send it, and the "
                "vendor would bill it. In tests use a fake or the simulator"
            )
        return Signature(GENERATE_TASK, kwargs=self.to_kwargs(), options=self.message_options(), immutable=True)


class AnimateJob(_Job):
    """Animate the character of an image with the motion of a video (vendor document, type `animate`)."""

    __doc__ = f"{__doc__}\n\n{cleandoc(_Job.__doc__ or '')}"

    type = "animate"


class ReplaceJob(_Job):
    """Replace the person in a video with the character of an image (vendor document, type `replace`)."""

    __doc__ = f"{__doc__}\n\n{cleandoc(_Job.__doc__ or '')}"

    type = "replace"


Job = AnimateJob | ReplaceJob


class _RecordedAnimateJob(AnimateJob):
    _is_new = False


class _RecordedReplaceJob(ReplaceJob):
    _is_new = False


def parse_job(kwargs: Mapping[str, Any], *, is_recorded: bool = False) -> Job:
    """Read the keyword arguments of a `wanimate.generate` task: `type` and the fields of the job.

    If they are recorded in the ledger, an older version has checked their values, so newer rules do not apply.

    Raises:
        InvalidRequest: A field is missing, unknown or invalid; `field` names it.
    """
    if not isinstance(kwargs, dict):
        raise InvalidRequest("expected keyword arguments: type, image_url, video_url, …", field="type")
    fields = dict(kwargs)
    kind = fields.pop("type", None)
    if kind == "animate":
        return (_RecordedAnimateJob if is_recorded else AnimateJob)(**fields)
    if kind == "replace":
        return (_RecordedReplaceJob if is_recorded else ReplaceJob)(**fields)
    raise InvalidRequest(f"type: expected 'animate' or 'replace', got {str(kind)[:20]!r}", field="type")


def _invalid(error: ValidationError) -> InvalidRequest:
    problems = error.errors(include_url=False, include_input=False)
    fields = [".".join(map(str, problem["loc"])) or "job" for problem in problems]
    shown = [
        f"{field}: {problem['msg'].removeprefix('Value error, ')}"
        for field, problem in zip(fields[:_SHOWN_PROBLEMS], problems, strict=False)
    ]
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    return InvalidRequest("; ".join(shown), field=fields[0])
