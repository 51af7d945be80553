"""Whatever is sent, the answer is in one of the documented shapes, and never a 500."""

from __future__ import annotations

import socket

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.live import LiveService

quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=10,
)
FIELDS = ["parallel_jobs", "priority", "notification_webhook", "master_file", "dub_file", "methods", "ai_model"]
FIELDS += ["description", "tags", "channels", "wait_seconds"]
TEXT = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=30)


def assert_is_answer(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    assert answer.headers["x-request-id"]
    if answer.status_code >= 400:
        assert answer.json()["success"] is False
        assert answer.json()["error"]
        assert answer.json()["error_code"]


@pytest.fixture(scope="module")
def batch_id(idle: LiveService) -> str:
    """A batch that cannot be started any more."""
    batch_id = idle.uploaded()
    idle.cancel(batch_id)
    return batch_id


@quick
@given(
    identity=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
    what=st.sampled_from(["status", "results", ""]),
)
def test_any_id(idle: LiveService, identity, what):
    quoted = "".join(f"%{byte:02x}" for byte in identity.encode())
    assert_is_answer(idle.http.get(f"/api/v1/analysis/batch/{quoted}/{what}"))
    assert_is_answer(idle.http.get(f"/api/v1/analysis/{quoted}"))
    assert_is_answer(idle.http.get(f"/api/v1/reports/{quoted}.csv"))


@quick
@given(body=ANY | st.dictionaries(st.sampled_from(FIELDS), ANY))
def test_any_json(idle: LiveService, batch_id, body):
    assert_is_answer(idle.http.post(f"/api/v1/analysis/batch/{batch_id}/start", json=body))
    assert_is_answer(idle.http.post("/api/v1/analysis/sync", json=body))


@quick
@given(body=st.binary(max_size=100), kind=st.sampled_from(["application/json", "text/csv", "application/x+json", "x"]))
def test_any_bytes(idle: LiveService, batch_id, body, kind):
    for path in (f"batch/{batch_id}/start", "sync", "batch/upload-csv"):
        headers = {"Content-Type": kind}
        assert_is_answer(idle.http.post(f"/api/v1/analysis/{path}", content=body, headers=headers))


@quick
@given(
    body=st.binary(max_size=200) | st.text('-B\r\n"=;: namefilc', max_size=200).map(str.encode),
    kind=st.sampled_from(
        [
            "multipart/form-data",
            "multipart/form-data; boundary=B",
            "multipart/form-data; boundary=B; charset=utf-7",
            "multipart/form-data; boundary=B; charset=unicode_escape",
            "multipart/mixed; boundary=B",
        ]
    ),
    framed=st.booleans(),
)
def test_any_form(idle: LiveService, body, kind, framed):
    if framed:
        body = b'--B\r\nContent-Disposition: form-data; name="description"\r\n\r\n' + body + b"\r\n--B--\r\n"
    answer = idle.http.post("/api/v1/analysis/batch/upload-csv", content=body, headers={"Content-Type": kind})
    assert_is_answer(answer)


@quick
@given(content=st.binary(max_size=300), name=TEXT, fields=st.dictionaries(st.sampled_from(FIELDS), TEXT))
def test_any_file(idle: LiveService, content, name, fields):
    fields.pop("notification_webhook", None)
    answer = idle.http.post("/api/v1/analysis/batch/upload-csv", files={"file": (name, content)}, data=fields)
    assert_is_answer(answer)


@quick
@given(
    headers=st.dictionaries(
        st.sampled_from(["Accept", "X-Request-ID", "Idempotency-Key", "Content-Type", "Range", "If-Match", "Origin"]),
        TEXT.map(lambda text: text.strip().encode("latin-1")),
    ),
    query=st.dictionaries(
        st.sampled_from(["include_details", "limit", "cursor", "export_format"]),
        st.text(st.characters(codec="utf-8"), max_size=10),
    ),
)
def test_any_headers_and_parameters(idle: LiveService, batch_id, headers, query):
    for what in ("status", "results"):
        url = f"/api/v1/analysis/batch/{batch_id}/{what}"
        assert_is_answer(idle.http.get(url, headers=headers, params=query))
    assert_is_answer(idle.http.get("/api/v1/analysis/batch", headers=headers, params=query))


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET /nothing HTTP/9.9\r\n\r\n",
        b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"GET /%zz%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET //etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /api/v1/reports/../../../etc/passwd.csv HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /docs/files/../../core.py HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /docs/files/%2e%2e/core.py HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)
def test_raw_requests_get_a_client_error_and_the_service_lives_on(idle: LiveService, request_bytes):
    with socket.create_connection(("127.0.0.1", idle.port), timeout=10) as connection:
        connection.sendall(request_bytes)
        answer = connection.recv(65536)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404"))
    assert idle.http.get("/api/v1/health").status_code == 200
