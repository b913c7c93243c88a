"""The simulator and moto on repositories and their policies (see differential.py)."""

import json

import pytest
from conftest import policy
from differential import ACCOUNT, KEY, assert_alike, both_sides

OTHER = "222222222222"
APP = {"repositoryName": "team/app"}
WORLD = {"accounts": [{"id": ACCOUNT, "access_keys": [{"id": KEY, "principal": "root"}]}]}

# (case, what differs) -> the line of aws-facts that decides for the simulator.
DIFFERENCES = {
    ("a creation with a bad name", "message"): "A.0: the model's pattern; moto quotes an older one",
    ("a creation with a bad setting", "message"): "A.1: match on the code; no fact has the text",
    ("a description of all", "repositories"): "A.1: no order is promised; here it is that of the names",
    ("a page", "repositories"): "A.1: maxResults; moto does not page",
    ("a page", "nextToken"): "A.1: likewise",
    ("a policy of another service's action", "outcome"): "B.4: an action that is none of ECR's; moto does not look",
    ("a policy for the token", "outcome"): "B.4: GetAuthorizationToken is about no repository; moto does not look",
    ("a policy for nobody", "outcome"): "B.4: 'Principal not found'; moto does not look",
    ("a policy that locks out", "outcome"): "A.1: that takes force; moto does not look",
    ("a policy of 10,241 characters", "outcome"): "B.1: at most 10,240; moto does not count",
    ("a policy by force", "policyText"): "B.5: the text is re-serialised; moto echoes it",
    ("a policy without a resource", "policyText"): "B.5: likewise, and ids become root ARNs",
    ("a policy", "policyText"): "B.5: likewise",
    ("a policy read", "policyText"): "B.5: likewise",
    ("a policy deleted", "policyText"): "B.5: likewise",
}


def _create(**change):
    return lambda aws: aws.ecr.create_repository(**(APP | change))


def _set(text, **more):
    return lambda aws: aws.ecr.set_repository_policy(**APP, policyText=text, **more)


def _without_resource():
    document = json.loads(policy([OTHER], "ecr:BatchGetImage"))
    del document["Statement"][0]["Resource"]
    return json.dumps(document)


# Run in this order, on one registry of each side.
CASES = {
    "a description of nothing": lambda aws: aws.ecr.describe_repositories(),
    "a description of an unknown name": lambda aws: aws.ecr.describe_repositories(repositoryNames=["nowhere"]),
    "a deletion of nothing": lambda aws: aws.ecr.delete_repository(**APP),
    "a policy of nothing": lambda aws: aws.ecr.get_repository_policy(**APP),
    "a policy set on nothing": _set(policy([OTHER], "ecr:BatchGetImage")),
    "a policy deleted from nothing": lambda aws: aws.ecr.delete_repository_policy(**APP),
    "a creation with a bad name": _create(repositoryName="Team/App"),
    "a creation with a bad setting": _create(imageTagMutability="SOMETIMES"),
    "a creation": _create(),
    "a second creation": _create(),
    "a creation with settings": _create(
        repositoryName="other",
        imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
        tags=[{"Key": "team", "Value": "a"}],
    ),
    "a description by name": lambda aws: aws.ecr.describe_repositories(repositoryNames=["other"]),
    "a description of one and of an unknown one": lambda aws: aws.ecr.describe_repositories(
        repositoryNames=["other", "nowhere"]
    ),
    "a description of all": lambda aws: aws.ecr.describe_repositories(),
    "a page": lambda aws: aws.ecr.describe_repositories(maxResults=1),
    "a read of no policy": lambda aws: aws.ecr.get_repository_policy(**APP),
    "a deletion of no policy": lambda aws: aws.ecr.delete_repository_policy(**APP),
    "a policy that is no JSON": _set("{"),
    "a policy of another service's action": _set(policy([OTHER], "s3:GetObject")),
    "a policy for the token": _set(policy([OTHER], "ecr:GetAuthorizationToken")),
    "a policy for nobody": _set(policy([f"arn:aws:iam::{ACCOUNT}:role/nobody"], "ecr:BatchGetImage")),
    "a policy that locks out": _set(policy(["*"], "ecr:*").replace("Allow", "Deny")),
    "a policy by force": _set(policy(["*"], "ecr:*").replace("Allow", "Deny"), force=True),
    "a policy without a resource": _set(_without_resource()),
    "a policy of 10,241 characters": _set(policy([OTHER], "ecr:BatchGetImage").ljust(10_241)),
    "a policy": _set(policy([OTHER], "ecr:BatchGetImage")),
    "a policy read": lambda aws: aws.ecr.get_repository_policy(**APP),
    "a policy deleted": lambda aws: aws.ecr.delete_repository_policy(**APP),
    "a deletion": lambda aws: aws.ecr.delete_repository(**APP),
    "a deletion of what is gone": lambda aws: aws.ecr.delete_repository(**APP),
}


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    with both_sides(WORLD, tmp_path_factory.mktemp("world"), ("ecr",)) as (sides, _):
        yield sides


def test_both_answer_alike_or_the_facts_decide(sides):
    assert_alike(CASES, DIFFERENCES, sides)
