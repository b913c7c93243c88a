"""Faults as botocore meets them."""

import botocore.exceptions
import pytest
from conftest import HOME, OTHER, REGION, policy, refused


def error(status, code, **more):
    return {"effect": {"error": {"status": status, "code": code, "message": "as asked for"}}, **more}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ServerException", 500),
        ("ThrottlingException", 400),
        ("AccessDeniedException", 403),
        ("ServiceUnavailable", 503),
        ("ValidationException", 400),
    ],
)
def test_an_error_before_or_after_the_effect(sim, ecr, code, status):
    text = policy([OTHER])
    sim.control("inject", fault=error(status, code, operation="PutRegistryPolicy", times=1))
    assert refused(ecr.put_registry_policy, code, status, policyText=text) == "as asked for"
    assert sim.policy_text() is None
    sim.control("inject", fault=error(status, code, operation="PutRegistryPolicy", times=1, phase="after"))
    refused(ecr.put_registry_policy, code, status, policyText=text)
    assert sim.policy_text() == text
    ecr.put_registry_policy(policyText=text)


def test_errors_of_a_query_service(sim, sts):
    sim.control("inject", fault=error(400, "Throttling", service="sts"))
    refused(sts.get_caller_identity, "Throttling", 400)


def test_a_reset_and_a_hang(sim, ecr):
    sim.control("inject", fault={"effect": "reset", "times": 1})
    with pytest.raises(botocore.exceptions.HTTPClientError):
        ecr.describe_registry()
    sim.control("inject", fault={"effect": "hang", "times": 1})
    with pytest.raises(botocore.exceptions.ReadTimeoutError):
        sim.client("ecr", read_timeout=0.2).describe_registry()
    ecr.describe_registry()


def test_stale_reads(sim, ecr):
    ecr.put_registry_policy(policyText=policy([OTHER]))
    ecr.put_registry_policy(policyText=policy([OTHER], "ecr:CreateRepository"))
    sim.control("inject", fault={"effect": "stale_read", "times": 1})
    assert "ReplicateImage" in ecr.get_registry_policy()["policyText"]
    sim.control("inject", fault={"effect": "nothing_there", "times": 1})
    refused(ecr.get_registry_policy, "RegistryPolicyNotFoundException", 400)
    assert "CreateRepository" in ecr.get_registry_policy()["policyText"]


def test_throttling(sim, ecr):
    sim.control("set_throttle", account=HOME, region=REGION, per_second=0.0001, burst=1)
    ecr.describe_registry()
    refused(ecr.describe_registry, "ThrottlingException", 400)
    sim.client("ecr", region="eu-north-1").describe_registry()


def test_calls_are_recorded(sim, ecr):
    ecr.put_registry_policy(policyText=policy([OTHER]))
    call = sim.control("calls")["calls"][-1]
    assert (call["account"], call["region"], call["service"]) == (HOME, REGION, "ecr")
    assert (call["operation"], call["is_write"], call["outcome"]) == ("PutRegistryPolicy", True, "ok")
    assert call["write"] == {"before": None, "sent": policy([OTHER]), "after": policy([OTHER])}
