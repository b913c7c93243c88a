"""The simulator and moto, asked the same: they answer alike, or a list says which fact decides.

Answers are compared as a client sees them: members, error code, HTTP status, text. What is random by nature (ids, keys,
times) is compared by its form. A difference that is listed and does not show is an error too.
"""

import json
import os
import re
import urllib.request
from contextlib import contextmanager
from datetime import datetime

import botocore.exceptions
from conftest import Sim, client
from moto.server import ThreadedMotoServer

ACCOUNT = "123456789012"
KEY = "AKIADIFFERENTIAL"

FORMS = {
    "AccessKeyId": r"^ASIA[A-Z0-9]{16}$",
    "SecretAccessKey": r"^.{40}$",
    "SessionToken": r"^.{100,}$",
    "AssumedRoleId": r"^AROA[A-Z0-9]{17}:test$",
    "Expiration": r"^20\d\d-",
    "RoleId": r"^AROA[A-Z0-9]{17}$",
    "InstanceProfileId": r"^AIPA[A-Z0-9]{17}$",
    "CreateDate": r"^20\d\d-",
    "createdAt": r"^20\d\d-",
    "CreatedDate": r"^20\d\d-",
    "LastChangedDate": r"^20\d\d-",
    "DeletedDate": r"^20\d\d-",
    "ARN": r"^arn:aws:secretsmanager:[a-z0-9-]+:\d{12}:secret:[a-z/-]+-[A-Za-z0-9]{6}$",
    "VersionIdsToStages": r"^\{'[0-9a-f-]{36}': \['AWSCURRENT'\]\}$",
    "Marker": r".",
    "nextToken": r".",
}


class Clients(dict):
    """By service."""

    __getattr__ = dict.__getitem__


@contextmanager
def both_sides(world, directory, services):
    """Clients of each side, with nothing in either but what the World's file says of the simulator."""
    os.environ |= {"MOTO_ACCOUNT_ID": ACCOUNT, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
    moto = ThreadedMotoServer(port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    moto_url = f"http://{host}:{port}"
    with urllib.request.urlopen(f"{moto_url}/moto-api/reset", data=b"", timeout=10):
        pass
    sim = Sim(world, directory)
    sides = {"sim": sim.url, "moto": moto_url}
    made = {
        side: Clients({service: client(url, service, KEY, checked=side == "sim") for service in services})
        for side, url in sides.items()
    }
    yield made, sim
    sim.stop()
    moto.stop()


def flat(value):
    """What is random, by its form; the rest as it is."""
    if isinstance(value, dict):
        return {name: _by_form(name, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [flat(inner) for inner in value]
    return value


def _by_form(name, value):
    form = FORMS.get(name)
    if form is None:
        return flat(value)
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return form if re.match(form, text) else value


def seen(ask, clients):
    """An answer as a client sees it: its members one by one, those of a single structure too."""
    try:
        answer = flat(ask(clients))
    except botocore.exceptions.ClientError as refusal:
        error = refusal.response
        status = error["ResponseMetadata"]["HTTPStatusCode"]
        return {"outcome": error["Error"]["Code"], "status": status, "message": error["Error"]["Message"]}
    out = {"outcome": "ok", "status": answer.pop("ResponseMetadata")["HTTPStatusCode"]}
    for name, value in answer.items():
        out |= value if isinstance(value, dict) else {name: value}
    return out


def assert_alike(cases, differences, sides):
    """Runs the cases in their order on either side, and holds what differs against the list."""
    found = {}
    for case, ask in cases.items():
        sim, moto = seen(ask, sides["sim"]), seen(ask, sides["moto"])
        if sim["outcome"] != moto["outcome"]:
            found[case, "outcome"] = (sim, moto)
            continue
        for member in sorted(sim.keys() | moto.keys()):
            if sim.get(member) != moto.get(member):
                found[case, member] = (sim.get(member), moto.get(member))
    undecided = {key: value for key, value in found.items() if key not in differences}
    assert not undecided, json.dumps({" / ".join(k): v for k, v in undecided.items()}, indent=1, default=str)
    assert not differences.keys() - found.keys(), "listed, but they do not differ"
