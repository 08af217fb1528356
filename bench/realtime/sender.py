"""A worker's side of the benchmark: progress over HTTP, so many per second, each with the moment it was sent."""

import http.client
import json
import sys
import time
from datetime import UTC, datetime


def main(port: str, token: str, per_second: str, seconds: str, *uids: str) -> None:
    line = http.client.HTTPConnection("127.0.0.1", int(port))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    began = time.monotonic()
    for number in range(int(per_second) * int(seconds)):
        time.sleep(max(0.0, began + number / int(per_second) - time.monotonic()))
        progress = {
            "attempt": 1, "tick": number + 1, "stage": "Download", "updatedAt": datetime.now(UTC).isoformat(),
            "stages": [{"stage": "Download", "state": "Running"}], "message": f"sent@{time.monotonic_ns()}.",
        }  # fmt: skip
        batch = {
            "sender": "worker", "uid": uids[number % len(uids)], "attempt": 1, "batch": number + 1,
            "events": [{"kind": "progress", "progress": progress}],
        }  # fmt: skip
        line.request("POST", "/api/v1/ingest/events", json.dumps(batch), headers)
        answer = line.getresponse()
        body = answer.read()
        if answer.status != 200 or json.loads(body)["accepted"] != 1:
            raise SystemExit(f"the dashboard did not take an event: {answer.status} {body!r}")


if __name__ == "__main__":
    main(*sys.argv[1:])
