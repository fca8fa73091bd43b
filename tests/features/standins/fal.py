"""Whether the stand-in is fal's queue in the eyes of fal's own client.

Where it is and how it is controlled comes by the environment. Each scenario prints its name when
it holds; the first that does not ends it all.
"""

import asyncio
import hashlib
import http.server
import json
import os
import threading
import time

import fal_client
import httpx
from base64 import urlsafe_b64decode
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fal_client.client import FalClientHTTPError

CONTROL = os.environ["STANDIN_URL"] + "/-/"
APP = "fal-ai/veo3/fast"
ORDER = {"prompt": "a paper boat on a stream"}
FILM_BYTES = 2517


def control(method, path, body=None):
    answer = httpx.request(method, CONTROL + path, json=body)
    assert answer.status_code == 200, f"{path} {body}: {answer.text}"
    return answer.json()


def script(**changes):
    control("PUT", "script", {key.replace("_", "-"): value for key, value in changes.items()})


def fault(at, act, **more):
    return {"at": at, "act": act, **more}


def jobs():
    return control("GET", "jobs")


def job(handle):
    return next(job for job in jobs() if job["id"] == handle.request_id)


def calls(endpoint):
    return [call for call in control("GET", "calls") if call["endpoint"] == endpoint]


def eventually(what, holds):
    until = time.monotonic() + 60
    while not (value := holds()):
        assert time.monotonic() < until, f"waited in vain: {what}"
        time.sleep(0.01)
    return value


def refusal(ask):
    """The error of fal's client that something ends with."""
    try:
        got = ask()
    except FalClientHTTPError as error:
        return error
    raise AssertionError(f"it was not refused: {got}")


class Hooks:
    """Somebody who receives webhooks."""

    def __init__(self, status=200):
        received = self.received = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                received.append((dict((name.lower(), value) for name, value in self.headers.items()), body))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=a%26b"

    def wait(self, count):
        eventually(f"{count} webhooks", lambda: len(self.received) >= count)
        return self.received


def verified(headers, body):
    """As fal's documents say it: the key set, five minutes, and four lines that are signed."""
    keys = httpx.get(os.environ["STANDIN_URL"] + "/.well-known/jwks.json").json()["keys"]
    stamp = headers["x-fal-webhook-timestamp"]
    if abs(time.time() - int(stamp)) > 300 or "x-fal-webhook-signature" not in headers:
        return False
    lines = [headers["x-fal-webhook-request-id"], headers["x-fal-webhook-user-id"], stamp]
    message = "\n".join([*lines, hashlib.sha256(body).hexdigest()]).encode()
    for key in keys:
        assert (key["kty"], key["crv"]) == ("OKP", "Ed25519")
        public = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(key["x"]))
        try:
            public.verify(bytes.fromhex(headers["x-fal-webhook-signature"]), message)
            return True
        except InvalidSignature:
            pass
    return False


def a_job_goes_from_the_queue_to_its_film():
    script()
    handle = fal_client.submit(APP, ORDER, priority="low", start_timeout=60)
    assert handle.status() == fal_client.Queued(position=0)
    working = handle.status(with_logs=True)
    assert isinstance(working, fal_client.InProgress) and working.logs[0]["message"] == "loading the model"
    done = handle.status(with_logs=True)
    assert isinstance(done, fal_client.Completed) and done.error is None and done.metrics["inference_time"] > 0
    video = handle.get()["video"]
    film = httpx.get(video["url"])
    assert film.headers["content-type"] == video["content_type"] == "video/mp4"
    assert film.content[4:8] == b"ftyp" and len(film.content) == video["file_size"] == FILM_BYTES
    submitted = job(handle)
    assert (submitted["app"], submitted["path"], submitted["input"]) == ("fal-ai/veo3", "fast", ORDER)
    headers = dict(calls("submit")[-1]["headers"])
    assert (headers["x-fal-queue-priority"], headers["x-fal-request-timeout"]) == ("low", "60.0")


def a_subscription_sees_every_state():
    script(pace={"looks": {"queued": 2, "running": 2}})
    seen = []
    enqueued = []
    result = fal_client.subscribe(
        APP, ORDER, with_logs=True, on_enqueue=enqueued.append,
        on_queue_update=lambda status: seen.append(type(status).__name__), interval=0.01,
    )
    assert seen == ["Queued", "Queued", "InProgress", "InProgress", "Completed"], seen
    assert enqueued == [jobs()[-1]["id"]] and result["video"]["file_name"] == "film.mp4"


def the_client_that_is_asynchronous_gets_the_same():
    script(pace={"millis": {"queued": 20, "running": 20}})

    async def film():
        handle = await fal_client.submit_async(APP, ORDER)
        return [type(status).__name__ async for status in handle.iter_events(interval=0.005)], await handle.get()

    seen, result = asyncio.run(film())
    assert seen[-1] == "Completed" and result["video"]["file_size"] == FILM_BYTES


def a_status_and_a_result_are_found_by_the_id():
    script(pace={"looks": {"queued": 0, "running": 1}})
    handle = fal_client.submit(APP, ORDER)
    early = handle.client.get(handle.response_url)
    assert (early.status_code, early.json()["detail"]) == (400, "Request is still in progress")
    assert isinstance(fal_client.status(APP, handle.request_id), fal_client.InProgress)
    assert fal_client.result(APP, handle.request_id)["seed"] == 4711


def a_job_is_cancelled_and_says_so():
    script(pace={"looks": {"queued": 100, "running": 0}})
    waiting = fal_client.submit(APP, ORDER)
    fal_client.cancel(APP, waiting.request_id)
    script(pace="held")
    running = fal_client.submit(APP, ORDER)
    running.cancel()
    for handle in (waiting, running):
        assert job(handle)["at"] == "cancelled"
        status = handle.status()
        assert isinstance(status, fal_client.Completed) and status.error_type == "client_cancelled"
        error = refusal(handle.get)
        assert (error.status_code, error.error_type) == (499, "client_cancelled")
        assert refusal(handle.cancel).status_code == 400
    assert [call["answered"] for call in calls("cancel")] == [200, 202, 400, 400]
    nobody = fal_client.SyncClient().get_handle(APP, "00000000-0000-4000-a000-000000000000")
    assert refusal(nobody.cancel).status_code == 404


def nobody_comes_in_with_another_key():
    error = refusal(lambda: fal_client.SyncClient(key="another").submit(APP, ORDER))
    assert error.status_code == 401 and "Authentication" in error.message


def too_many_requests_and_lost_connections_are_tried_again():
    before = len(jobs())
    script(faults=[
        fault("submit", {"status": {"status": 429, "retry-after": 1}}),
        fault("submit", "drop-before"),
        fault("status", {"status": {"status": 429}}, skip=1),
        fault("status", {"cut": 10}),
        fault("result", "drop-after"),
    ])
    handle = fal_client.submit(APP, ORDER)
    assert handle.get()["video"]["content_type"] == "video/mp4" and len(jobs()) == before + 1
    assert [call["answered"] for call in calls("submit")[-3:]] == [429, None, 200]
    script(faults=[fault("status", {"status": {"status": 429, "retry-after": 7}})])
    answer = handle.client.get(handle.status_url)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def errors_of_the_service_are_errors_of_the_client():
    for status in (500, 502):
        script(faults=[fault("submit", {"status": {"status": status}})])
        assert refusal(lambda: fal_client.submit(APP, ORDER)).status_code == status
    script(faults=[fault("submit", "hang")])
    client = fal_client.SyncClient(default_timeout=0.2)
    before = len(jobs())
    client.submit(APP, ORDER)
    assert len(jobs()) == before + 1, "the first was never done, the second was"


def an_answer_that_is_lost_is_paid_twice_unless_the_key_counts():
    lost = [fault("submit", "drop-after")]
    for idempotency, paid in (("ignored", 2), ("honoured", 1)):
        script(idempotency=idempotency, faults=lost)
        before = len(jobs())
        handle = fal_client.submit(APP, ORDER, headers={"Idempotency-Key": idempotency})
        assert len(jobs()) - before == paid, idempotency
        assert handle.get()["seed"] == 4711


def a_prompt_is_refused_by_a_checker():
    script(ending="refused")
    handle = fal_client.submit(APP, ORDER)
    error = refusal(handle.get)
    assert error.status_code == 422 and error.message[0]["type"] == "content_policy_violation"
    assert error.response_headers["x-fal-retryable"] == "false"
    assert handle.status().error == "Invalid status code: 422"


def a_model_fails_with_its_reason():
    script(ending={"failed": {"status": 503, "error-type": "runner_server_error", "detail": "CUDA out of memory"}})
    handle = fal_client.submit(APP, ORDER)
    error = refusal(handle.get)
    assert (error.status_code, error.error_type, error.message) == (503, "runner_server_error", "CUDA out of memory")
    assert handle.status().error_type == "runner_server_error"


def an_error_can_hide_in_a_success():
    script(ending="error-inside")
    result = fal_client.submit(APP, ORDER).get()
    assert result["video"] is None and result["error"]
    script(faults=[fault("result", "garbage")])
    try:
        fal_client.submit(APP, ORDER).get()
        raise AssertionError("that was no JSON")
    except ValueError:
        pass


def a_state_that_nobody_knows_is_told():
    script(faults=[fault("status", {"state": "WARMING_UP"})])
    handle = fal_client.submit(APP, ORDER)
    try:
        handle.status()
        raise AssertionError("nobody knows that state")
    except ValueError as error:
        assert str(error) == "Unknown status: WARMING_UP"
    assert handle.get()["video"]["url"]


def a_job_vanishes():
    script(faults=[fault("status", "vanish", skip=1)])
    handle = fal_client.submit(APP, ORDER)
    handle.status()
    for ask in (handle.status, handle.get, handle.cancel):
        assert refusal(ask).status_code == 404


def a_film_comes_in_ranges_and_breaks_off():
    size = 6_000_000_000
    script(film_bytes=size, pace={"looks": {"queued": 0, "running": 0}})
    url = fal_client.submit(APP, ORDER).get()["video"]["url"]
    with httpx.stream("GET", url) as film:
        assert int(film.headers["content-length"]) == size
        assert next(film.iter_bytes(100_000))[FILM_BYTES:FILM_BYTES + 8] == b"\0\0\0\x01free"
    part = httpx.get(url, headers={"range": "bytes=2500-2532"})
    assert part.status_code == 206 and part.headers["content-range"] == f"bytes 2500-2532/{size}"
    assert part.content[17:] == b"\0\0\0\x01free" + (size - FILM_BYTES).to_bytes(8, "big")
    assert httpx.get(url, headers={"range": f"bytes={size - 3}-"}).content == b"\0\0\0"
    assert httpx.get(url, headers={"range": "bytes=-2"}).content == b"\0\0"
    assert httpx.get(url, headers={"range": f"bytes={size}-"}).status_code == 416
    script(faults=[fault("media", {"cut": 200_000})])
    try:
        got = 0
        with httpx.stream("GET", url) as film:
            for piece in film.iter_bytes():
                got += len(piece)
        raise AssertionError("it did not break")
    except httpx.RemoteProtocolError:
        assert got <= 200_000
    for status in (403, 404):
        script(faults=[fault("media", {"status": {"status": status}})])
        assert httpx.get(url).status_code == status
    script(faults=[fault("media", "garbage")])
    assert httpx.get(url).headers["content-type"] == "text/html"


def a_webhook_is_signed_and_says_what_the_result_says():
    for ending, status in (("film", "OK"), ("refused", "ERROR")):
        script(ending=ending)
        hooks = Hooks()
        handle = fal_client.submit(APP, ORDER, webhook_url=hooks.url)
        assert job(handle)["hook"] == hooks.url
        try:
            result = handle.get()
        except FalClientHTTPError as error:
            result = {"detail": error.message}
        [(headers, body)] = hooks.wait(1)
        told = json.loads(body)
        assert (told["request_id"], told["status"], told["payload"]) == (handle.request_id, status, result)
        assert headers["x-fal-webhook-request-id"] == handle.request_id and verified(headers, body)
        eventually("it is written down", lambda: job(handle)["webhooks"] == [{"Ok": 200}])


def a_webhook_comes_twice_late_never_or_again():
    script(webhook={"copies": 2})
    hooks = Hooks()
    fal_client.submit(APP, ORDER, webhook_url=hooks.url).get()
    [first, second] = hooks.wait(2)
    assert first[1] == second[1]

    script(webhook={"when": "held"})
    hooks = Hooks()
    handles = [fal_client.submit(APP, ORDER, webhook_url=hooks.url) for _ in range(2)]
    [handle.get() for handle in handles]
    assert hooks.received == []
    for count, handle in enumerate(reversed(handles)):
        control("POST", f"jobs/{handle.request_id}/release")
        hooks.wait(count + 1)
    told = [json.loads(body)["request_id"] for _, body in hooks.received]
    assert told == [handle.request_id for handle in reversed(handles)], "they are out of order"

    script(webhook={"when": "never"})
    hooks = Hooks()
    fal_client.submit(APP, ORDER, webhook_url=hooks.url).get()
    script(webhook={"tries": 3, "retry-ms": 1, "delay-ms": 1})
    refusing = Hooks(status=503)
    handle = fal_client.submit(APP, ORDER, webhook_url=refusing.url)
    handle.get()
    eventually("three attempts", lambda: job(handle)["webhooks"] == [{"Ok": 503}] * 3)
    assert hooks.received == [], "the lost one did not come meanwhile"


def a_webhook_overtakes_the_answer_and_the_job():
    script(webhook={"when": "before-answer"})
    hooks = Hooks()
    handle = fal_client.submit(APP, ORDER, webhook_url=hooks.url)
    assert len(hooks.received) == 1, "it was there before the answer"
    assert isinstance(handle.status(), fal_client.Completed)
    script(webhook={"when": "before-done"}, pace="held")
    handle = fal_client.submit(APP, ORDER, webhook_url=hooks.url)
    told = json.loads(hooks.wait(2)[1][1])
    assert told["status"] == "OK" and isinstance(handle.status(), fal_client.InProgress)
    control("POST", f"jobs/{handle.request_id}/finish")
    assert handle.get()["video"] == told["payload"]["video"]
    # The answer is lost after that: whoever was told of the job by its webhook knows its id.
    script(webhook={"when": "before-answer"}, faults=[fault("submit", "drop-after")])
    hooks = Hooks()
    fal_client.submit(APP, ORDER, webhook_url=hooks.url)
    told = [json.loads(body)["request_id"] for _, body in hooks.received]
    assert told == [job["id"] for job in jobs()[-2:]]


def signatures_are_wrong_in_every_way():
    for webhook, holds in (
        ({}, True),
        ({"signature": "bad"}, False),
        ({"signature": "unknown-key"}, False),
        ({"signature": "absent"}, False),
        ({"age-s": 299}, True),
        ({"age-s": 400}, False),
        ({"age-s": -400}, False),
    ):
        script(webhook=webhook)
        hooks = Hooks()
        fal_client.submit(APP, ORDER, webhook_url=hooks.url).get()
        assert verified(*hooks.wait(1)[0]) is holds, webhook


def keys_are_rotated():
    script()
    hooks = Hooks()
    fal_client.submit(APP, ORDER, webhook_url=hooks.url).get()
    old = hooks.wait(1)[0]
    control("POST", "keys/rotate")
    fal_client.submit(APP, ORDER, webhook_url=hooks.url).get()
    new = hooks.wait(2)[1]
    assert verified(*old) and verified(*new)
    control("POST", "keys/rotate-all")
    assert not verified(*old) and not verified(*new)
    fal_client.submit(APP, ORDER, webhook_url=hooks.url).get()
    assert verified(*hooks.wait(3)[2])


SCENARIOS = [
    a_job_goes_from_the_queue_to_its_film,
    a_subscription_sees_every_state,
    the_client_that_is_asynchronous_gets_the_same,
    a_status_and_a_result_are_found_by_the_id,
    a_job_is_cancelled_and_says_so,
    nobody_comes_in_with_another_key,
    too_many_requests_and_lost_connections_are_tried_again,
    errors_of_the_service_are_errors_of_the_client,
    an_answer_that_is_lost_is_paid_twice_unless_the_key_counts,
    a_prompt_is_refused_by_a_checker,
    a_model_fails_with_its_reason,
    an_error_can_hide_in_a_success,
    a_state_that_nobody_knows_is_told,
    a_job_vanishes,
    a_film_comes_in_ranges_and_breaks_off,
    a_webhook_is_signed_and_says_what_the_result_says,
    a_webhook_comes_twice_late_never_or_again,
    a_webhook_overtakes_the_answer_and_the_job,
    signatures_are_wrong_in_every_way,
    keys_are_rotated,
]

for scenario in SCENARIOS:
    scenario()
    print(scenario.__name__, flush=True)
