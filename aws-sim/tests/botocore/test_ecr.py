"""Every ECR operation and every refusal, through botocore (aws-facts A.1, A.2, B)."""

import json

import pytest
from conftest import HOME, OTHER, REGION, policy, refused

INVALID = (
    "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid registry policy provided'"
)


def test_a_policy_is_put_read_and_deleted(ecr, sim):
    text = policy([OTHER])
    put = ecr.put_registry_policy(policyText=text)
    assert put["registryId"] == HOME
    assert sim.policy_text() == text
    got = json.loads(ecr.get_registry_policy()["policyText"])
    assert got["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{OTHER}:root"}
    gone = ecr.delete_registry_policy()
    assert gone["registryId"] == HOME and "ReplicateImage" in gone["policyText"]
    assert sim.policy_text() is None


@pytest.mark.parametrize("operation", ["get_registry_policy", "delete_registry_policy"])
def test_a_policy_that_is_not_there_is_not_found(ecr, operation):
    message = refused(getattr(ecr, operation), "RegistryPolicyNotFoundException", 400)
    assert message == f"Registry policy does not exist in the registry with id '{HOME}'"
    with pytest.raises(ecr.exceptions.RegistryPolicyNotFoundException):
        getattr(ecr, operation)()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        policy([OTHER], "s3:GetObject"),
        policy([f"arn:aws:iam::{HOME}:role/nobody"]),
        policy([f"arn:aws:iam::{HOME}:group/g"]),
        policy([f"arn:aws:iam::{HOME}:*"]),
        policy(["AROAEXAMPLEEXAMPLE123"]),
    ],
)
def test_a_bad_document_is_refused_with_one_text(ecr, sim, text):
    assert refused(ecr.put_registry_policy, "InvalidParameterException", 400, policyText=text) == INVALID
    assert sim.policy_text() is None


def test_a_document_fits_up_to_10240_characters(ecr):
    text = policy([OTHER])
    ecr.put_registry_policy(policyText=text.ljust(10_240))
    message = refused(ecr.put_registry_policy, "InvalidParameterException", 400, policyText=text.ljust(10_241))
    assert "10240" in message


def test_under_v1_a_named_action_of_v2_is_refused(ecr, sim):
    sim.control("set_scope", account=HOME, region=REGION, scope="V1")
    text = policy([OTHER], "ecr:BatchGetImage")
    assert refused(ecr.put_registry_policy, "InvalidParameterException", 400, policyText=text) == INVALID
    ecr.put_registry_policy(policyText=policy([OTHER], "ecr:*"))
    ecr.put_account_setting(name="REGISTRY_POLICY_SCOPE", value="V2")
    ecr.put_registry_policy(policyText=text)


def test_account_settings_are_read_and_put(ecr, sim):
    assert ecr.get_account_setting(name="REGISTRY_POLICY_SCOPE")["value"] == "V2"
    sim.control("set_scope", account=HOME, region=REGION, scope="V1")
    assert ecr.get_account_setting(name="REGISTRY_POLICY_SCOPE")["value"] == "V1"
    put = ecr.put_account_setting(name="REGISTRY_POLICY_SCOPE", value="V2")
    assert (put["name"], put["value"]) == ("REGISTRY_POLICY_SCOPE", "V2")
    assert ecr.get_account_setting(name="BLOB_MOUNTING")["value"] == "DISABLED"
    ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    assert ecr.get_account_setting(name="BLOB_MOUNTING")["value"] == "ENABLED"
    assert ecr.get_account_setting(name="BASIC_SCAN_TYPE_VERSION")["value"] == "AWS_NATIVE"


def test_account_settings_nobody_has_are_refused(ecr):
    refused(ecr.get_account_setting, "InvalidParameterException", 400, name="NO_SUCH")
    refused(ecr.put_account_setting, "InvalidParameterException", 400, name="NO_SUCH", value="x")
    refused(ecr.put_account_setting, "InvalidParameterException", 400, name="BLOB_MOUNTING", value="x")


def test_the_registry_describes_itself(ecr, sim):
    described = ecr.describe_registry()
    assert (described["registryId"], described["replicationConfiguration"]) == (HOME, {"rules": []})
    rule = {
        "destinations": [{"region": "eu-north-1", "registryId": OTHER}],
        "deleteReplication": {"enabled": True},
    }
    sim.control("set_replication_rules", account=HOME, region=REGION, rules=[rule])
    assert ecr.describe_registry()["replicationConfiguration"]["rules"] == [rule]


def test_accounts_and_regions_do_not_share_anything(ecr, sim):
    ecr.put_registry_policy(policyText=policy([OTHER]))
    for client in (sim.client("ecr", "AKIAOTHERROOT"), sim.client("ecr", region="eu-north-1")):
        refused(client.get_registry_policy, "RegistryPolicyNotFoundException", 400)


def test_principals_are_shuffled_on_each_read(ecr):
    accounts = [str(n) * 12 for n in range(8)]
    ecr.put_registry_policy(policyText=policy(accounts))
    lists = [json.loads(ecr.get_registry_policy()["policyText"])["Statement"][0]["Principal"]["AWS"] for _ in range(10)]
    assert len({tuple(one) for one in lists}) > 5
    assert {frozenset(one) for one in lists} == {frozenset(f"arn:aws:iam::{a}:root" for a in accounts)}


def test_what_the_simulator_does_not_do_is_an_unknown_operation(ecr):
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        ecr.describe_images(repositoryName="app")
    error = caught.value.response
    assert error["Error"]["Code"] == "UnknownOperationException"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 404
