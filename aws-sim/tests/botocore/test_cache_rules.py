"""Pull-through cache rules through botocore: every operation, every refusal (aws-facts A.1, D)."""

import pytest
from conftest import HOME, OTHER, REGION, refused

RULE = {"ecrRepositoryPrefix": "cache", "upstreamRegistryUrl": "quay.io"}
HUB = {"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "registry-1.docker.io"}
SECRET = {"account": HOME, "region": REGION, "name": "ecr-pullthroughcache/hub"}


@pytest.fixture
def secret(sim):
    return sim.control("create_secret", **SECRET)["arn"]


def test_a_rule_lives(ecr, sim, secret):
    created = ecr.create_pull_through_cache_rule(**HUB, credentialArn=secret, upstreamRepositoryPrefix="library")
    assert (created["registryId"], created["upstreamRegistry"]) == (HOME, "docker-hub")
    assert created["createdAt"].year >= 2026
    second = sim.control("create_secret", **SECRET)["arn"]
    updated = ecr.update_pull_through_cache_rule(ecrRepositoryPrefix="hub", credentialArn=second)
    assert (updated["credentialArn"], updated["upstreamRepositoryPrefix"]) == (second, "library")
    assert updated["updatedAt"] >= created["createdAt"]
    validated = ecr.validate_pull_through_cache_rule(ecrRepositoryPrefix="hub")
    assert validated["isValid"] is True and "failure" not in validated
    described = ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=["hub"])["pullThroughCacheRules"]
    assert [rule["credentialArn"] for rule in described] == [second]
    gone = ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix="hub")
    assert gone["upstreamRegistryUrl"] == "registry-1.docker.io"
    assert ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"] == []


def test_a_validation_fails_in_words(ecr, sim, secret):
    ecr.create_pull_through_cache_rule(**HUB, credentialArn=secret)
    sim.control("set_secret_opens", **SECRET, opens=False)
    validated = ecr.validate_pull_through_cache_rule(ecrRepositoryPrefix="hub")
    assert validated["isValid"] is False and secret in validated["failure"]


def test_unknown_prefixes_are_not_found(ecr):
    code = "PullThroughCacheRuleNotFoundException"
    for operation in ("delete", "validate", "update"):
        refused(getattr(ecr, f"{operation}_pull_through_cache_rule"), code, 400, ecrRepositoryPrefix="nowhere")
    ecr.create_pull_through_cache_rule(**RULE)
    both = ["cache", "nowhere"]
    refused(ecr.describe_pull_through_cache_rules, code, 400, ecrRepositoryPrefixes=both)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("InvalidParameterException", {"ecrRepositoryPrefix": "Cache"}),
        ("InvalidParameterException", {"ecrRepositoryPrefix": "a" * 31}),
        ("InvalidParameterException", {"ecrRepositoryPrefix": "ROOT", "upstreamRepositoryPrefix": "x1"}),
        ("InvalidParameterException", {"upstreamRegistry": "k8s"}),
        ("InvalidParameterException", {"registryId": "000000000000000"}),
        ("InvalidParameterException", {"customRoleArn": f"arn:aws:iam::{OTHER}:role/ops/member"}),
        ("InvalidParameterException", {"customRoleArn": f"arn:aws:iam::{HOME}:role/nobody"}),
        ("InvalidParameterException", {"credentialArn": "x" * 50}),
        ("UnsupportedUpstreamRegistryException", {"upstreamRegistryUrl": "example.org"}),
        ("UnsupportedUpstreamRegistryException", {"upstreamRegistryUrl": "ghcr.io"}),
        (
            "SecretNotFoundException",
            {"credentialArn": f"arn:aws:secretsmanager:{REGION}:{HOME}:secret:ecr-pullthroughcache/x-AbCdEf"},
        ),
    ],
)
def test_refusals(ecr, code, change):
    refused(ecr.create_pull_through_cache_rule, code, 400, **(RULE | change))
    assert ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"] == []


def test_a_secret_with_the_customers_key_is_refused(ecr, sim, secret):
    sim.control("set_secret_key", **SECRET, kms_key_id="a-key")
    refused(
        ecr.create_pull_through_cache_rule, "UnableToDecryptSecretValueException", 400, **HUB, credentialArn=secret
    )


def test_an_update_of_nothing_is_refused(ecr):
    ecr.create_pull_through_cache_rule(**RULE)
    message = refused(
        ecr.update_pull_through_cache_rule, "InvalidParameterException", 400, ecrRepositoryPrefix="cache"
    )
    assert message == "Invalid input: Please set either credential arn or role arn to update the credentials"


def test_fifty_rules_in_pages_and_none_more(ecr):
    for n in range(50):
        ecr.create_pull_through_cache_rule(**(RULE | {"ecrRepositoryPrefix": f"p{n:02}"}))
    refused(ecr.create_pull_through_cache_rule, "LimitExceededException", 400, **RULE)
    taken = RULE | {"ecrRepositoryPrefix": "p00"}
    refused(ecr.create_pull_through_cache_rule, "PullThroughCacheRuleAlreadyExistsException", 400, **taken)
    pages = ecr.get_paginator("describe_pull_through_cache_rules").paginate(PaginationConfig={"PageSize": 20})
    sizes = [len(page["pullThroughCacheRules"]) for page in pages]
    assert sizes == [20, 20, 10]


def test_a_young_role_waits_for_iam(ecr, iam, sim):
    sim.control("set_propagation", ms=3_600_000)
    trust = '{"Statement":[{"Effect":"Allow","Principal":{"Service":"ecr.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
    arn = iam.create_role(RoleName="young", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    message = refused(
        ecr.create_pull_through_cache_rule, "InvalidParameterException", 400, **RULE, customRoleArn=arn
    )
    assert "customRoleArn" in message


def test_the_question_over_the_wire(ecr, sim):
    ecr.create_pull_through_cache_rule(**RULE)
    question = {"puller": OTHER, "repository": "cache/app", "account": HOME, "region": REGION}
    answer = sim.control("would_pull_through", **question)
    assert answer["allowed"] is False and OTHER in answer["because"]
    sim.control(
        "put_policy",
        account=HOME,
        region=REGION,
        document={"Statement": {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "ecr:*", "Resource": "*"}},
    )
    assert sim.control("would_pull_through", **question)["allowed"] is True
