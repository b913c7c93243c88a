"""Secrets Manager through botocore: a secret is described and never read (aws-facts A.6)."""

import pytest
from conftest import HOME, REGION, refused

SECRET = {"account": HOME, "region": REGION, "name": "ecr-pullthroughcache/hub"}


@pytest.fixture
def arn(sim):
    return sim.control("create_secret", **SECRET)["arn"]


def test_a_secret_is_described_by_name_and_arn(secretsmanager, arn):
    for name in (SECRET["name"], arn):
        described = secretsmanager.describe_secret(SecretId=name)
        assert (described["ARN"], described["Name"]) == (arn, SECRET["name"])
        assert "KmsKeyId" not in described and "DeletedDate" not in described
        assert list(described["VersionIdsToStages"].values()) == [["AWSCURRENT"]]


def test_a_key_and_a_deletion_are_shown(secretsmanager, sim, arn):
    sim.control("set_secret_key", **SECRET, kms_key_id="a-key")
    sim.control("schedule_secret_deletion", **SECRET)
    described = secretsmanager.describe_secret(SecretId=arn)
    assert described["KmsKeyId"] == "a-key"
    assert (described["DeletedDate"] - described["CreatedDate"]).days == 30
    sim.control("delete_secret", **SECRET)
    message = refused(secretsmanager.describe_secret, "ResourceNotFoundException", 400, SecretId=arn)
    assert message == "Secrets Manager can't find the specified secret."
    assert sim.control("create_secret", **SECRET)["arn"] != arn


def test_the_value_is_refused_and_the_question_shows(secretsmanager, sim, arn):
    secretsmanager.describe_secret(SecretId=arn)
    refused(secretsmanager.get_secret_value, "AccessDeniedException", 400, SecretId=arn)
    calls = [(c["service"], c["operation"], c["outcome"]) for c in sim.control("calls")["calls"]]
    assert calls == [
        ("secretsmanager", "DescribeSecret", "ok"),
        ("secretsmanager", "GetSecretValue", "AccessDeniedException"),
    ]
