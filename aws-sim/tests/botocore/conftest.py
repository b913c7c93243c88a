"""The simulator as a process of its own for each test, and clients of it as anybody would make them."""

import json
import os
import subprocess
import urllib.request
from xml.etree import ElementTree

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

HOME, OTHER = "111111111111", "222222222222"
REGION = "eu-west-1"

# aws-facts A.0, "CommonErrors", as they are on the wire of a JSON service.
COMMON_JSON = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "InternalFailure": 500,
    "MissingAuthenticationToken": 403,
    "ServiceUnavailable": 503,
    "ThrottlingException": 400,
    "UnrecognizedClientException": 403,
}
# Secrets Manager has the same code with another status.
SECRETS_MANAGER = {"AccessDeniedException": 400}
# A boundary that is not there: field reports show what the model of CreateRole does not list ("Scope ARN: …").
BEYOND_THE_MODEL = {("CreateRole", "NoSuchEntity", 404), ("CreateRole", "PolicyNotAttachable", 400)}
# The same of a query service: without the suffix (A.0, A.4).
COMMON_QUERY = {
    "AccessDenied": 403,
    "ExpiredToken": 403,
    "InvalidClientTokenId": 403,
    "MissingAuthenticationToken": 403,
    "Throttling": 400,
    "ValidationError": 400,
}

WORLD = {
    "seed": 1,
    "accounts": [
        {
            "id": HOME,
            "users": ["alice"],
            "access_keys": [
                {"id": "AKIAHOMEROOT", "principal": "root"},
                {"id": "AKIAALICE", "principal": "user/alice"},
            ],
        },
        {
            "id": OTHER,
            "roles": [{"name": "ops/member", "trust": {"principals": [HOME], "external_id": "the-id"}}],
            "access_keys": [{"id": "AKIAOTHERROOT", "principal": "root"}],
        },
    ],
}


def client(url, service, key, region=REGION, token=None, checked=True, **config):
    settings = {"retries": {"total_max_attempts": 1}, "read_timeout": 5, "connect_timeout": 5} | config
    made = boto3.session.Session().client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=key,
        aws_secret_access_key="any",
        aws_session_token=token,
        config=Config(**settings),
    )
    if checked:
        made.meta.events.register("after-call.*.*", _answer_fits_the_model)
    return made


def _answer_fits_the_model(http_response, model, **_):
    """botocore drops members that it does not know: look at the bytes."""
    if http_response.status_code >= 300 or model.output_shape is None:
        return
    if model.service_model.resolved_protocol == "json":
        _fits(json.loads(http_response.content), model.output_shape)
        return
    root = ElementTree.fromstring(http_response.content)
    namespace = root.tag.partition("}")[0] + "}"
    result = root.find(f"{namespace}{model.name}Result")
    assert result is not None, http_response.content
    _xml_fits(result, model.output_shape, namespace)


def _fits(value, shape):
    if shape.type_name == "structure":
        assert set(value) <= set(shape.members), (value, shape)
        for name, inner in value.items():
            _fits(inner, shape.members[name])
    elif shape.type_name == "list":
        for inner in value:
            _fits(inner, shape.member)
    elif shape.type_name in ("timestamp", "double", "integer"):
        assert isinstance(value, (int, float)), (value, shape)


def _xml_fits(element, shape, namespace):
    if shape.type_name == "structure":
        for inner in element:
            name = inner.tag.removeprefix(namespace)
            assert name in shape.members, (name, shape)
            _xml_fits(inner, shape.members[name], namespace)
    elif shape.type_name == "list":
        for inner in element:
            assert inner.tag == f"{namespace}member", (inner.tag, shape)
            _xml_fits(inner, shape.member, namespace)


def refused(call, code, status, **arguments):
    """The call is refused with a code that AWS has for it, and botocore understands it."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), error
    service = call.__self__.meta.service_model
    operation = service.operation_model(caught.value.operation_name)
    modelled = {s.metadata.get("error", {}).get("code", s.name) for s in operation.error_shapes}
    common = COMMON_JSON if service.resolved_protocol == "json" else COMMON_QUERY
    common = common | (SECRETS_MANAGER if service.service_name == "secretsmanager" else {})
    is_known = code in modelled or common.get(code) == status or (operation.name, code, status) in BEYOND_THE_MODEL
    assert is_known, f"AWS has no {code} {status} for {operation.name}"
    assert error["ResponseMetadata"]["RequestId"]
    return error["Error"]["Message"]


class Sim:
    def __init__(self, world, directory):
        file = directory / "world.json"
        file.write_text(json.dumps(world))
        command = [os.environ["AWS_SIM_BIN"], "--world", str(file), "--until-stdin-closes"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().removeprefix("listening on ").strip()

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=10) == 0
        self.process.stdout.close()

    def control(self, control, **fields):
        request = urllib.request.Request(f"{self.url}/_sim/{control}", json.dumps(fields).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def client(self, service, key="AKIAHOMEROOT", **more):
        return client(self.url, service, key, **more)

    def policy_text(self, account=HOME, region=REGION):
        return self.control("policy", account=account, region=region)["text"]


@pytest.fixture
def sim(tmp_path):
    running = Sim(WORLD, tmp_path)
    yield running
    running.stop()


@pytest.fixture
def ecr(sim):
    return sim.client("ecr")


@pytest.fixture
def sts(sim):
    return sim.client("sts")


@pytest.fixture
def iam(sim):
    return sim.client("iam")


@pytest.fixture
def secretsmanager(sim):
    return sim.client("secretsmanager")


def policy(principals, actions="ecr:ReplicateImage"):
    statement = {"Sid": "s", "Effect": "Allow", "Principal": {"AWS": principals}, "Action": actions, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
