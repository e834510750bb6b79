from __future__ import annotations

import inspect
import json
import pickle

import pytest
import wanimate
from celery import Celery
from wanimate import errors

JOB_ERRORS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, errors.JobFailed) and kind is not errors.InvalidRequest
] + [errors.InvalidRequest]


@pytest.mark.parametrize("kind", JOB_ERRORS)
def test_a_job_error_comes_back_from_celery_as_itself(kind: type[errors.JobFailed]) -> None:
    backend = Celery(set_as_current=False, backend="cache+memory://", broker="memory://").backend
    error = kind("what happened", "CODE", "task_1", "field")

    stored = json.loads(json.dumps(backend.prepare_exception(error, serializer="json")))
    rebuilt = backend.exception_to_python(stored)

    assert type(rebuilt) is kind
    assert rebuilt.args == error.args
    assert (rebuilt.message, rebuilt.code, rebuilt.task_id, rebuilt.field) == (
        "what happened",
        "CODE",
        "task_1",
        "field",
    )


@pytest.mark.parametrize("kind", JOB_ERRORS)
def test_a_job_error_crosses_process_boundaries(kind: type[errors.JobFailed]) -> None:
    error = kind("what happened", "CODE", "task_1", "field")

    assert pickle.loads(pickle.dumps(error)).args == error.args


def test_every_error_has_the_one_root_and_is_exported() -> None:
    classes = [name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)]

    assert set(classes) < set(wanimate.__all__)
    assert all(issubclass(getattr(errors, name), errors.WanimateError) for name in classes)


def test_the_tree_at_the_top_of_the_module_is_the_tree() -> None:
    classes = [name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)]
    drawn = [line.strip("│├└─ ").split(" ")[0] for line in (errors.__doc__ or "").splitlines()[2:] if line]

    assert sorted(drawn) == sorted(classes)
