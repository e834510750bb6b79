"""New connections are really refused for a while, on request."""

import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

SUBMIT = "/api/v1/generateTask/wan-2-2-animate"
HUNG_UP = (httpx.RemoteProtocolError, httpx.ReadError)

Launch = Callable[..., Any]
RequestFor = Callable[..., dict[str, Any]]
Eventually = Callable[..., Any]


def is_refused(url: str) -> bool:
    try:
        socket.create_connection((httpx.URL(url).host, httpx.URL(url).port or 0), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_connections_are_refused_for_a_while_and_then_the_same_port_answers_again(
    live: httpx.Client,
    live_url: str,
    request_for: RequestFor,
    eventually: Eventually,
) -> None:
    before = live.post(SUBMIT, json=request_for("before")).json()["data"]["taskId"]

    answer = live.put("/simulator/faults", json={"refuse_for_seconds": 1, "unknown_fields": True})

    assert answer.status_code == 200
    assert answer.json()["refuse_for_seconds"] == 1
    eventually(lambda: is_refused(live_url))
    with pytest.raises(httpx.ConnectError):
        live.get("/simulator/health")
    eventually(lambda: not is_refused(live_url))
    faults = live.get("/simulator/faults").json()
    assert (faults["refuse_for_seconds"], faults["unknown_fields"]) == (0, True)
    assert live.get("/simulator/summary").json()["faults_struck"]["refuse_for_seconds"] == 1
    assert live.get("/simulator/tasks").json()["tasks"][0]["task_id"] == before


def test_refusing_closes_the_connections_there_are_and_notes_the_answers_they_waited_for(
    live: httpx.Client,
    live_url: str,
    request_for: RequestFor,
    eventually: Eventually,
) -> None:
    faults = {"slow_rate": 1, "slow_ms": 800}
    with (
        socket.create_connection((httpx.URL(live_url).host, httpx.URL(live_url).port or 0), 5) as idle,
        socket.create_connection((httpx.URL(live_url).host, httpx.URL(live_url).port or 0), 5) as waiting,
    ):
        live.put("/simulator/faults", json=faults)
        request = httpx.Request(
            "POST",
            live_url + SUBMIT,
            headers={"Authorization": "Bearer simulator-key"},
            json=request_for(),
        )
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        waiting.sendall(f"POST {SUBMIT} HTTP/1.1\r\n{head}\r\n".encode() + request.read())
        eventually(lambda: live.get("/simulator/summary").json()["accepted"] == 1)

        live.put("/simulator/faults", json={**faults, "refuse_for_seconds": 0.3})

        idle.settimeout(10)
        waiting.settimeout(10)
        assert idle.recv(1) == b""
        assert waiting.recv(1) == b""
    eventually(lambda: not is_refused(live_url))
    told = eventually(lambda: live.get("/simulator/tasks").json()["tasks"][0]["answer_lost"])
    assert told == "gone"


def test_a_simulator_that_refuses_ends_on_a_signal_all_the_same(launch: Launch, eventually: Eventually) -> None:
    with launch() as (process, line):
        url = line.split(" ")[3]
        httpx.put(f"{url}/simulator/faults", json={"refuse_for_seconds": 1000}, trust_env=False).raise_for_status()
        eventually(lambda: is_refused(url))

        process.terminate()

        assert process.wait(10) == 0


def test_refusing_without_a_socket_is_an_error_and_changes_nothing(converse: Callable[..., Any]) -> None:
    async def conversation(client: Any) -> Any:
        answer = await client.put("/simulator/faults", json={"refuse_for_seconds": 1, "slow_rate": 0.5})
        return answer, (await client.get("/simulator/faults")).json()

    answer, faults = converse(conversation)

    assert answer.status_code == 400
    assert "refuse_for_seconds" in answer.json()["error"]
    assert (faults["refuse_for_seconds"], faults["slow_rate"]) == (0, 0)
