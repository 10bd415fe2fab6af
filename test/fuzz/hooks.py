"""What Schemathesis is told of this API beside its description, and what it tells of its requests.

EDGESMITH_FUZZ_SEED is JSON: what the stack has been given beforehand. EDGESMITH_FUZZ_REQUESTS names the file that
gets a line of JSON for each request.
"""

import hashlib
import json
import os
import threading
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

import schemathesis

seed = json.loads(os.environ["EDGESMITH_FUZZ_SEED"])
signed_url = urlsplit(seed["signedUrl"])
requests = open(os.environ["EDGESMITH_FUZZ_REQUESTS"], "a", buffering=1)
writing = threading.Lock()

# With these a build is accepted, whatever else its spec says.
ARGUMENTS = {"ARCH": "amd64", "OS_DISTRIBUTION": "ubuntu", "OS_VERSION": "22.04", "K8S_DISTRIBUTION": "k3s"}


@schemathesis.serializer("application/offset+octet-stream")
def serialize_chunk(ctx, value):
    """The bytes of a resumable upload are its body."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


def is_chosen(value, of):
    """Takes one of so many cases, the same each time that Hypothesis makes it."""
    return int.from_bytes(hashlib.sha256(repr(value).encode()).digest()[:4], "big") % of == 0


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook("map_case").apply_to(operation_id=["downloadArtifact", "describeDownload"])
def with_signed_url(context, case):
    """No URL that was made up is ever served: every other one is a URL that was signed."""
    if is_positive(case) and is_chosen(case.headers, 2):
        *_, artifact, name = signed_url.path.split("/")
        case.path_parameters = {"id": artifact, "name": name}
        case.query = dict(parse_qsl(signed_url.query))
    return case


@schemathesis.hook("map_case").apply_to(operation_id=["createBuild", "createFleet", "createValidation"])
def with_real_inputs(context, case):
    """No tag, file, argument or secret that was made up is ever there: two of three specs name what is."""
    body = case.body
    if not is_positive(case) or not isinstance(body, dict) or is_chosen(body, 3):
        return case
    form = body if isinstance(body.get("spec"), dict) else None
    spec = dict(form["spec"] if form else body)
    build = spec.get("build") if isinstance(spec.get("build"), dict) else None
    plain = {name: value for name, value in (build if build is not None else spec).items() if name != "secrets"}
    plain.pop("canvos", None)
    plain["arguments"] = ARGUMENTS
    if "inputs" in plain:
        plain["inputs"] = {} if build is not None else {"userData": {"upload": seed["uploadId"]}}
    if build is not None:
        spec["build"] = plain
    else:
        spec = plain
    case.body = spec if form is None else {"spec": spec}
    return case


@schemathesis.hook("map_case").apply_to(operation_id=["listAuditRecords", "exportAuditRecords"])
def of_the_last_seconds(context, case):
    """Who asks for no time gets those of a day, which is all of the ten thousands that a run leaves."""
    query = case.query
    if isinstance(query, dict) and "from" not in query and "to" not in query and not is_chosen(query, 20):
        case.query = {**query, "from": (datetime.now(timezone.utc) - timedelta(seconds=10)).isoformat()}
    return case


@schemathesis.hook("map_case").apply_to(operation_id="changeTenant")
def without_own_limits(context, case):
    """The tenant of who asks gets no limits: without room or requests nothing but 507 and 429 would be answered."""
    limits = case.body.get("limits") if isinstance(case.body, dict) else None
    if is_positive(case) and isinstance(limits, dict) and case.path_parameters.get("tenantId") == "default":
        case.body = {**case.body, "limits": {}}
    return case


@schemathesis.hook
def after_call(context, case, response):
    phase = case.meta.phase.name.value if case.meta else "other"
    line = json.dumps([phase, case.method, case.operation.path, response.status_code])
    with writing:
        requests.write(line + "\n")
