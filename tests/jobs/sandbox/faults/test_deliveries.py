import json
import time

import httpx
import pytest

from jobs.sandbox import Sandbox, faults
from tests.jobs.sandbox.asking import Asker


def query_all(sandbox: Sandbox, ask: Asker) -> httpx.Response:
    return ask.usage(*(organization.uuid for organization in sandbox.organizations))


def test_a_hang_ends_in_the_ordinary_answer(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.Hang(0.05))
    response = ask.post("{ __typename }")
    assert response.elapsed.total_seconds() >= 0.05
    assert response.json() == {"data": {"__typename": "Query"}}


def test_a_hang_outlasts_the_client(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.Hang(60))
    ask.http.timeout = 0.05
    with pytest.raises(httpx.ReadTimeout):
        ask.post("{ __typename }")


def test_a_slow_body_arrives_whole(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.SlowBody(0.02, piece_bytes=8))
    began_at = time.monotonic()
    assert ask.post("{ __typename }").json() == {"data": {"__typename": "Query"}}
    assert time.monotonic() - began_at >= 0.05


def test_a_slow_compressed_body_arrives_whole(sandbox: Sandbox, ask: Asker) -> None:
    expected = query_all(sandbox, ask).json()
    sandbox.inject(faults.SlowBody(0, piece_bytes=100))
    assert query_all(sandbox, ask).json() == expected


def test_slow_headers_arrive_whole(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.SlowHeaders(0.02))
    began_at = time.monotonic()
    assert ask.post("{ __typename }").json() == {"data": {"__typename": "Query"}}
    assert time.monotonic() - began_at >= 0.04


def test_the_connection_is_reset_halfway_through_the_answer(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.ConnectionReset())
    request = ask.http.build_request("POST", sandbox.graphql_url, json={"query": "{ __typename }"})
    response = ask.http.send(request, stream=True)
    assert response.status_code == 200
    with pytest.raises(httpx.ReadError):
        response.read()


def test_the_connection_is_reset_before_any_answer(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.ConnectionReset(mid_answer=False))
    with pytest.raises(httpx.ReadError):
        ask.post("{ __typename }")
    assert ask.post("{ __typename }").status_code == 200


def test_a_body_is_cut_off(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.CutOff())
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message"):
        query_all(sandbox, ask)


def test_an_endless_body_lasts_until_the_client_leaves(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.EndlessBody())
    received = 0
    with ask.http.stream("POST", sandbox.graphql_url, json={"query": "{ __typename }"}) as response:
        for piece in response.iter_bytes():
            received += len(piece)
            if received > 1_000_000:
                break
    assert received > 1_000_000
    assert ask.post("{ __typename }").status_code == 200


def test_an_endless_body_ends_when_the_server_stops() -> None:
    with Sandbox() as sandbox, (ask := Asker(sandbox)).http:
        sandbox.inject(faults.EndlessBody())
        body = {"query": "{ __typename }"}
        with ask.http.stream("POST", sandbox.graphql_url, json=body) as response:
            sandbox.stop()
            with pytest.raises(httpx.TransportError):
                response.read()


def test_a_gzip_bomb_inflates_a_thousandfold_to_valid_json(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.GzipBomb(mebibytes=8))
    response = ask.post("{ __typename }")
    assert len(response.content) == 8 * 1024 * 1024 + 2
    assert response.num_bytes_downloaded < len(response.content) / 500
    assert response.json() == {}


def test_json_that_is_no_json(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.InvalidJson(), times=2)
    for response in (ask.post("{ __typename }"), query_all(sandbox, ask)):
        assert response.status_code == 200
        assert response.text.startswith('{"data":')
        with pytest.raises(json.JSONDecodeError):
            response.json()


def test_text_that_is_no_utf_8(sandbox: Sandbox, ask: Asker) -> None:
    sandbox.inject(faults.InvalidUtf8())
    with pytest.raises(UnicodeDecodeError):
        ask.post("{ __typename }").json()
