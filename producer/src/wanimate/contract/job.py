"""The two kinds of job, checked against the vendor's rules before anything is sent."""

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

#: Labels are for people and dashboards; what is larger belongs in the caller's own database.
MAX_LABELS: Final = 8
MAX_LABEL_CHARACTERS: Final = 64
#: What kombu's JSON takes for a value of a type of its own, which workers could not read (kombu.utils.json).
_TYPE_MARKERS: Final = frozenset({"__type__", "__value__"})
#: Vendor document, "Parameters".
MAX_SEED: Final = 2**31 - 1
MAX_PROMPT_CHARACTERS: Final = 10_000
#: A year.
MAX_DEADLINE_SECONDS: Final = 366 * 86_400
#: A day: a larger number was meant in milliseconds.
MAX_VIDEO_SECONDS: Final = 86_400
#: How often at most a job runs again after transient failures.
MAX_RETRIES: Final = 10
#: Wrong fields that one message names.
_SHOWN_PROBLEMS: Final = 10

_JOB_ID_NAMESPACE: Final = uuid.UUID("5e3c5f0e-6f63-5a58-9d0d-7f0b1f5f6c11")


class JobFields(TypedDict, total=False):
    """The fields of `AnimateJob` and `ReplaceJob`, for type checkers and editors; those classes describe each."""

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
    """One request to the vendor, with the queue's own options.

    Args:
        image_url: The character image, one http(s) URL: JPG, JPEG, PNG or WEBP where its path has an extension.
        video_url: The motion reference video, one http(s) URL: MP4, MOV or M4V where its path has an extension.
        prompt: Optional guidance; not empty when given.
        resolution: `480p` or `720p`.
        seed: -1 (any) or a number from 0 to 2147483647, for reproducible runs.
        provider: The vendor's routing: `auto`, `value` or `official`.
        priority: 0 (most urgent) to 9; kept in four bands 0-2, 3-5, 6-8, 9, first come first served within a band.
        labels: A few short strings, shown in status and Flower.
        idempotency_key: The same key gives the same job: enqueued once, paid once.
        on_unknown: What to do when the vendor's answer was lost: `fail` (never pay twice) or `resubmit` (may pay
            twice). Without it the worker's setting decides.
        retry_transient: How often it is sent again when its task has failed with a code that the vendor documents as
            transient, 0 to 10. Each time is a new task, which may be billed. Without it the account's limit decides.
        deadline_seconds: The job may take this long, counted from when a worker has recorded it. Then it ends as
            `DeadlineExceeded`: for free while it waits; while it runs, after a last poll of the vendor's task.
        video_seconds: How long the motion video is, in seconds; not sent to the vendor, only for the estimate of what
            is billed.
        webhook_url: Where the end of the job is posted, as the Standard Webhooks specification says. Without it the
            account's setting decides.

    Raises:
        InvalidRequest: A field breaks the vendor's rules (vendor document, "Parameters"); `field` names it.
    """

    # Built when the first job is made: who only reads needs none.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    #: The vendor's behaviour type.
    type: ClassVar[Literal["animate", "replace"]]
    #: Whether the vendor's rules for values are checked; those of a job on record were, by what was known then.
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

    if not TYPE_CHECKING:  # type checkers read the fields; callers get our error instead of pydantic's

        def __init__(self, /, **fields: Any) -> None:
            try:
                super().__init__(**fields)
            except ValidationError as error:
                raise _invalid(error) from None

    @field_validator("image_url", "video_url", mode="before")
    @classmethod
    def _exactly_one(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            raise ValueError(f"exactly one URL is allowed, as a string; got a list of {len(value)}")  # noqa: TRY004
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
            raise ValueError(f"-1 (any) or a whole number from 0 to {MAX_SEED} is expected")
        return value

    @field_validator("prompt")
    @classmethod
    def _not_blank(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("a prompt must not be empty; leave it out instead")
        return value

    @field_validator("image_url", "video_url", "prompt", "labels", "idempotency_key")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        try:
            for text in chain.from_iterable(value.items()) if isinstance(value, dict) else (value or "",):
                text.encode()
        except UnicodeEncodeError:
            raise ValueError("this is not valid Unicode text (it has half of a surrogate pair)") from None
        return value

    @field_validator("labels")
    @classmethod
    def _small(cls, value: dict[str, str]) -> dict[str, str]:
        if len(value) > MAX_LABELS:
            raise ValueError(f"at most {MAX_LABELS} labels are allowed")
        if any(len(text) > MAX_LABEL_CHARACTERS for pair in value.items() for text in pair):
            raise ValueError(f"names and values of labels have at most {MAX_LABEL_CHARACTERS} characters")
        if value.keys() == _TYPE_MARKERS:
            raise ValueError("labels named __type__ and __value__ mean something else to Celery: use other names")
        return value

    @property
    def deadline_ms(self) -> int | None:
        """The deadline in whole milliseconds, at least one; None for any time."""
        return None if self.deadline_seconds is None else max(1, round(self.deadline_seconds * 1000))

    def to_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of the `wanimate.generate` task, defaults left out."""
        return {"type": self.type, **self.model_dump(exclude_defaults=True)}

    def fingerprint(self) -> str:
        """Return a digest that is the same for the same request, whatever its queue options."""
        request = self.model_dump(include={"image_url", "video_url", "prompt", "resolution", "seed", "provider"})
        canonical = json.dumps({"type": self.type, **request}, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def job_id(self, account: str) -> str:
        """Return the id this job is enqueued under: a new one, or derived from the idempotency key and the account."""
        if self.idempotency_key is None:
            return str(uuid.uuid4())
        return str(uuid.uuid5(_JOB_ID_NAMESPACE, f"{account}:{self.idempotency_key}"))

    def summary(self) -> str:
        """Return what logs, events and Flower may show: no URL (it may be signed) and no prompt."""
        shown: dict[str, object] = {"type": self.type, "resolution": self.resolution}
        if self.labels:
            shown["labels"] = self.labels
        return str(shown)

    def message_options(self) -> dict[str, Any]:
        """Return the Celery options every message of this job is sent with."""
        return {
            "queue": ENTRY_QUEUE,
            "priority": self.priority,
            "argsrepr": "()",
            "kwargsrepr": self.summary(),
            "headers": {CONTRACT_HEADER: CONTRACT_VERSION, **current_trace()},
        }

    def signature(self) -> Signature[Any]:
        """Return an ordinary, immutable Celery signature for the whole remote job.

        It works in `chain`, `group`, `chord`, `link`, `link_error` and `self.replace` on the caller's own Celery app,
        which must use the same Redis as broker and result backend (Celery documentation, "Canvas"). With an idempotency
        key it may be sent any number of times: each time is a task of its own with its own continuation, and all of
        them end with the one job of the key, which is paid once.

        Raises:
            SettingsError: The app runs tasks at once instead of sending them (`task_always_eager`).
        """
        from celery import Signature, current_app

        if current_app.conf.task_always_eager:
            raise SettingsError(
                "task_always_eager: a remote job cannot run in the caller's process, and Celery would send and bill "
                "it; in tests put a fake in its place, or run the simulator"
            )
        return Signature(GENERATE_TASK, kwargs=self.to_kwargs(), options=self.message_options(), immutable=True)


class AnimateJob(_Job):
    """Bring the character of an image to life with the motion of a video.

    Takes the fields of every job; see the vendor's document, type `animate`.
    """

    __doc__ = f"{cleandoc(__doc__)}\n\n{cleandoc(_Job.__doc__ or '')}"

    type = "animate"


class ReplaceJob(_Job):
    """Replace the person in a video with the character of an image.

    Takes the fields of every job; see the vendor's document, type `replace`.
    """

    __doc__ = f"{cleandoc(__doc__)}\n\n{cleandoc(_Job.__doc__ or '')}"

    type = "replace"


Job = AnimateJob | ReplaceJob


class _RecordedAnimateJob(AnimateJob):
    _is_new = False


class _RecordedReplaceJob(ReplaceJob):
    _is_new = False


def parse_job(kwargs: Mapping[str, Any], *, is_recorded: bool = False) -> Job:
    """Read the keyword arguments of a `wanimate.generate` task: `type` and the fields of the job.

    If the ledger has them, an older version has checked their values by the rules of its time, and the vendor, not a
    newer rule of ours, decides about them.

    Raises:
        InvalidRequest: A field is missing, unknown or wrong; `field` names it.
    """
    if not isinstance(kwargs, dict):
        raise InvalidRequest("keyword arguments are expected: type, image_url, video_url, …", field="type")
    fields = dict(kwargs)
    kind = fields.pop("type", None)
    if kind == "animate":
        return (_RecordedAnimateJob if is_recorded else AnimateJob)(**fields)
    if kind == "replace":
        return (_RecordedReplaceJob if is_recorded else ReplaceJob)(**fields)
    raise InvalidRequest(f"type: 'animate' or 'replace' is expected, got {str(kind)[:20]!r}", field="type")


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
