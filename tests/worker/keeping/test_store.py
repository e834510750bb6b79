"""Stores: what was not read to its end is in none, and wrong credentials are told at the start."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

import pytest
from s3_server import BUCKET, S3Server
from wanimate.errors import SettingsError
from wanimate_worker.keeping.failures import StoreFailed, Truncated
from wanimate_worker.keeping.store import PART_BYTES, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY = os.urandom(1_000)


def pieces(size: int, *, fails: bool = False) -> Iterator[bytes]:
    for at in count(0, 65_536):
        if at >= size:
            break
        yield (BODY * 66)[: min(65_536, size - at)]
    if fails:
        raise Truncated("the body ended in the middle of the video")


def write(store: Store, name: str, size: int, *, fails: bool = False) -> None:
    store.write(name, pieces(size, fails=fails), lambda: "video/mp4")


@pytest.fixture(params=["s3", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        request.getfixturevalue("s3")
        return Store(f"s3://{BUCKET}/kept")
    return Store(f"file://{tmp_path}/new/kept")


@pytest.mark.parametrize("size", [0, 20_000, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 17])
def test_an_object_is_what_was_read(s3: S3Server, tmp_path: Path, size: int) -> None:
    expected = b"".join(pieces(size))
    write(Store(f"s3://{BUCKET}/kept/"), "day/a.mp4", size)
    assert s3.get("kept/day/a.mp4") == expected
    assert s3.type_of("kept/day/a.mp4") == "video/mp4"
    write(Store(f"file://{tmp_path}/kept"), "day/a.mp4", size)
    assert (tmp_path / "kept/day/a.mp4").read_bytes() == expected


@pytest.mark.parametrize("size", [0, 20_000, PART_BYTES, 3 * PART_BYTES])
def test_what_is_not_read_to_its_end_becomes_no_object(s3: S3Server, tmp_path: Path, size: int) -> None:
    for store in (Store(f"s3://{BUCKET}"), Store(f"file://{tmp_path}")):
        with pytest.raises(Truncated):
            write(store, "a.mp4", size, fails=True)
    assert s3.names() == []
    assert s3.uploads() == []
    assert list(tmp_path.iterdir()) == []


def test_a_failed_copy_leaves_the_former_one(s3: S3Server, tmp_path: Path) -> None:
    for store in (Store(f"s3://{BUCKET}"), Store(f"file://{tmp_path}")):
        write(store, "a.mp4", 20_000)
        with pytest.raises(Truncated):
            write(store, "a.mp4", 2 * PART_BYTES, fails=True)
    assert len(s3.get("a.mp4")) == 20_000
    assert (tmp_path / "a.mp4").stat().st_size == 20_000


def test_a_store_that_can_be_written_passes_the_check(store: Store) -> None:
    store.check()


def test_a_bucket_that_is_missing_is_told_at_the_start(s3: S3Server) -> None:
    with pytest.raises(SettingsError, match=r"WANIMATE_KEEP_URL.*s3://other.*NoSuchBucket|WANIMATE_KEEP_URL"):
        Store("s3://other/kept").check()


def test_wrong_credentials_are_told_at_the_start(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.demand_rights("0")
    try:
        with pytest.raises(SettingsError, match="AWS_ACCESS_KEY_ID") as raised:
            Store(f"s3://{BUCKET}").check()
        assert "test-secret" not in str(raised.value)
    finally:
        s3.demand_rights("inf")
    for name in s3.variables:
        monkeypatch.delenv(name)
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(SettingsError, match="AZURE_STORAGE_ACCOUNT_NAME"):
        Store("az://container/kept")


def test_a_folder_that_cannot_be_made_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="rights of the folder"):
        Store(f"file://{tmp_path}/file/kept")


def test_a_store_that_is_away_is_no_wrong_setting(monkeypatch: pytest.MonkeyPatch, s3: S3Server) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    away = Store(f"s3://{BUCKET}")
    with pytest.raises(StoreFailed, match="could not be reached"):
        away.check()
    with pytest.raises(StoreFailed, match="did not take"):
        write(away, "a.mp4", 20_000)


def test_all_kinds_of_stores_can_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    assert Store("az://container/kept").url_of("a.mp4") == "az://container/kept/a.mp4"
    assert Store("gs://bucket").url_of("day/a.mp4") == "gs://bucket/day/a.mp4"
