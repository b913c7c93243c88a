"""Every STS operation and every refusal, through botocore (aws-facts A.4)."""

import datetime

import pytest
from botocore import UNSIGNED
from conftest import HOME, OTHER, refused

MEMBER = f"arn:aws:iam::{OTHER}:role/ops/member"
WANTED = {"RoleArn": MEMBER, "RoleSessionName": "test", "ExternalId": "the-id"}


def test_callers_are_told_who_they_are(sim, sts):
    root = sts.get_caller_identity()
    assert (root["Account"], root["Arn"], root["UserId"]) == (HOME, f"arn:aws:iam::{HOME}:root", HOME)
    alice = sim.client("sts", "AKIAALICE").get_caller_identity()
    assert alice["Arn"] == f"arn:aws:iam::{HOME}:user/alice"
    assert alice["UserId"].startswith("AIDA")


def test_a_role_is_assumed_and_its_keys_work_in_its_account(sim, sts):
    answer = sts.assume_role(**WANTED)
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{OTHER}:assumed-role/member/test"
    keys = answer["Credentials"]
    left = keys["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(minutes=58) < left <= datetime.timedelta(hours=1, seconds=1)
    session = {"key": keys["AccessKeyId"], "token": keys["SessionToken"]}
    identity = sim.client("sts", **session).get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (OTHER, answer["AssumedRoleUser"]["Arn"])
    assert identity["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
    assert sim.client("ecr", **session).describe_registry()["registryId"] == OTHER
    refused(sim.client("ecr", keys["AccessKeyId"]).describe_registry, "UnrecognizedClientException", 403)


@pytest.mark.parametrize(
    "change",
    [
        {"ExternalId": "another"},
        {"ExternalId": None},
        {"RoleArn": f"arn:aws:iam::{OTHER}:role/nobody"},
        {"RoleArn": "arn:aws:iam::999999999999:role/nobody"},
    ],
)
def test_whoever_may_not_is_denied_without_a_reason(sts, change):
    wanted = {name: value for name, value in (WANTED | change).items() if value}
    message = refused(sts.assume_role, "AccessDenied", 403, **wanted)
    assert message == (
        f"User: arn:aws:iam::{HOME}:root is not authorized to perform: sts:AssumeRole on resource: {wanted['RoleArn']}"
    )


def test_an_untrusted_account_is_denied(sim):
    refused(sim.client("sts", "AKIAOTHERROOT").assume_role, "AccessDenied", 403, **WANTED)


@pytest.mark.parametrize(
    "change",
    [{"DurationSeconds": 43_201}, {"DurationSeconds": 7200}, {"RoleSessionName": "a b"}, {"RoleArn": "x" * 20}],
)
def test_bad_parameters_are_named(sts, change):
    refused(sts.assume_role, "ValidationError", 400, **(WANTED | change))


def test_strangers_expired_and_unsigned_callers_are_refused(sim):
    refused(sim.client("sts", "AKIASTRANGER").get_caller_identity, "InvalidClientTokenId", 403)
    refused(sim.client("ecr", "AKIASTRANGER").describe_registry, "UnrecognizedClientException", 403)
    sim.control("expire_key", access_key_id="AKIAALICE")
    refused(sim.client("sts", "AKIAALICE").get_caller_identity, "ExpiredToken", 403)
    refused(sim.client("ecr", "AKIAALICE").describe_registry, "ExpiredTokenException", 403)
    unsigned = {"signature_version": UNSIGNED}
    refused(sim.client("sts", **unsigned).get_caller_identity, "MissingAuthenticationToken", 403)
    refused(sim.client("ecr", **unsigned).describe_registry, "MissingAuthenticationToken", 403)


def test_a_new_role_takes_its_time_and_a_deleted_one_is_gone(sim, sts):
    sim.control("set_propagation", ms=3_600_000)
    arn = sim.control("add_role", account=OTHER, name="late", trust={"principals": [HOME]})["arn"]
    wanted = {"RoleArn": arn, "RoleSessionName": "test"}
    refused(sts.assume_role, "AccessDenied", 403, **wanted)
    sim.control("set_propagation", ms=0)
    sim.control("add_role", account=OTHER, name="late", trust={"principals": [HOME]})
    sts.assume_role(**wanted)
    sim.control("delete_role", account=OTHER, name="late")
    refused(sts.assume_role, "AccessDenied", 403, **wanted)
