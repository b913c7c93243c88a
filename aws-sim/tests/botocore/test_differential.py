"""The simulator and moto on registry policies and sessions (see differential.py)."""

import json
import re

import pytest
from conftest import client, policy
from differential import ACCOUNT, FORMS, KEY, assert_alike, both_sides

OTHER = "222222222222"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/team/member"
WORLD = {
    "accounts": [
        {
            "id": ACCOUNT,
            "roles": [{"name": "team/member", "trust": {"principals": [ACCOUNT]}}],
            "access_keys": [{"id": KEY, "principal": "root"}],
        }
    ]
}
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}],
    }
)

# (case, what differs) -> the line of aws-facts that decides for the simulator.
DIFFERENCES = {
    ("a put of 10,240 characters", "policyText"): "B.5: the text is re-serialised; moto echoes it",
    ("a put answers", "policyText"): "B.5: the text is re-serialised, ids become root ARNs; moto echoes it",
    ("a get answers", "policyText"): "B.5: likewise",
    ("a delete answers", "policyText"): "B.5: likewise",
    ("a put of a V2 action", "outcome"): "B.2: V2, the default, allows every ECR action; moto knows V1's two only",
    ("a put of an import action", "outcome"): "B.2: BatchImportUpstreamImage is one of V1's three; moto lacks it",
    ("a put of a wildcard", "outcome"): "K.1: ecr:* is stored under either scope",
    ("a put for an unknown role", "outcome"): "B.4: an unknown principal is refused; moto does not look",
    ("a put for a dead role", "outcome"): "B.5: an AROA id is refused, as in trust policies; moto does not look",
    ("a put for a group", "outcome"): "B.3: a group is no principal; moto does not look",
    ("a put for another partition", "outcome"): "B.3, C.3: the partition is the registry's; moto does not look",
    ("a put of 10,241 characters", "outcome"): "B.1: at most 10,240; moto does not count",
    ("a put without a principal", "outcome"): "B.3: a resource's policy names somebody; moto checks it as IAM's",
    ("who the caller is", "Arn"): "A.4: the caller's own ARN; moto always answers its user 'moto'",
    ("who the caller is", "UserId"): "A.4: the caller's own id; moto has one for all",
    ("assuming a missing role", "outcome"): "A.4: AccessDenied; moto lets one assume what is not there",
    ("assuming a role", "PackedPolicySize"): "A.4: nothing was packed, neither policies nor tags; moto always says 6",
    ("assuming with an external id", "PackedPolicySize"): "A.4: likewise",
    ("assuming for too long", "outcome"): "A.4: 900 to 43,200 seconds; moto does not look",
}


def _put(text):
    return lambda aws: aws.ecr.put_registry_policy(policyText=text)


def _assume(**change):
    wanted = {"RoleArn": ROLE, "RoleSessionName": "test"} | change
    return lambda aws: aws.sts.assume_role(**wanted)


def _without(member):
    document = json.loads(policy([OTHER]))
    del document["Statement"][0][member]
    return json.dumps(document)


def _with(**members):
    document = json.loads(policy([OTHER]))
    document["Statement"][0] |= members
    return json.dumps(document)


# Run in this order, on one registry of each side.
CASES = {
    "a get of nothing": lambda aws: aws.ecr.get_registry_policy(),
    "a delete of nothing": lambda aws: aws.ecr.delete_registry_policy(),
    "a fresh registry": lambda aws: aws.ecr.describe_registry(),
    "a put of no JSON": _put("{"),
    "a put of a list": _put("[]"),
    "a put without statements": _put('{"Version":"2012-10-17"}'),
    "a put without an effect": _put(_without("Effect")),
    "a put without an action": _put(_without("Action")),
    "a put without a resource": _put(_without("Resource")),
    "a put without a principal": _put(_without("Principal")),
    "a put with an odd effect": _put(_with(Effect="allow")),
    "a put of an odd version": _put(policy([OTHER]).replace("2012-10-17", "2012-10-18")),
    "a put of another service's action": _put(policy([OTHER], "s3:GetObject")),
    "a put of a V2 action": _put(policy([OTHER], "ecr:BatchGetImage")),
    "a put of an import action": _put(policy([OTHER], "ecr:BatchImportUpstreamImage")),
    "a put of a wildcard": _put(policy([OTHER], "ecr:*")),
    "a put for an unknown role": _put(policy([f"arn:aws:iam::{ACCOUNT}:role/nobody"])),
    "a put for a dead role": _put(policy(["AROAEXAMPLEEXAMPLE123"])),
    "a put for a group": _put(policy([f"arn:aws:iam::{ACCOUNT}:group/g"])),
    "a put for another partition": _put(policy([f"arn:aws-cn:iam::{OTHER}:root"])),
    "a put of 10,241 characters": _put(policy([OTHER]).ljust(10_241)),
    "a put of 10,240 characters": _put(policy([OTHER]).ljust(10_240)),
    "a put answers": _put(policy([OTHER, "333333333333"], ["ecr:ReplicateImage", "ecr:CreateRepository"])),
    "a get answers": lambda aws: aws.ecr.get_registry_policy(),
    "a delete answers": lambda aws: aws.ecr.delete_registry_policy(),
    "a get after a delete": lambda aws: aws.ecr.get_registry_policy(),
    "who the caller is": lambda aws: aws.sts.get_caller_identity(),
    "assuming a role": _assume(),
    "assuming with an external id": _assume(ExternalId="the-id"),
    "assuming a missing role": _assume(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/nobody"),
    "assuming for too long": _assume(DurationSeconds=43_201),
}

@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    with both_sides(WORLD, tmp_path_factory.mktemp("world"), ("ecr", "sts", "iam")) as (sides, _):
        sides["moto"].iam.create_role(Path="/team/", RoleName="member", AssumeRolePolicyDocument=TRUST)
        yield sides


def test_both_answer_alike_or_the_facts_decide(sides):
    assert_alike(CASES, DIFFERENCES, sides)


def test_policies_mean_the_same_where_only_their_text_differs(sides):
    """aws-facts B.5: what is left once ids are root ARNs and principals are sorted."""
    meanings = []
    for aws in sides.values():
        ecr = aws.ecr
        ecr.put_registry_policy(policyText=policy([OTHER, "333333333333"], ["ecr:ReplicateImage"]))
        document = json.loads(ecr.get_registry_policy()["policyText"])
        statement = document["Statement"][0]
        names = statement["Principal"]["AWS"]
        statement["Principal"]["AWS"] = sorted(re.sub(r"^\d{12}$", r"arn:aws:iam::\g<0>:root", n) for n in names)
        actions = statement["Action"]
        statement["Action"] = actions if isinstance(actions, list) else [actions]
        meanings.append(document)
    assert meanings[0] == meanings[1]


def test_an_assumed_role_is_the_same_caller_on_both(sides):
    seen = []
    for aws in sides.values():
        sts = aws.sts
        keys = sts.assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
        url = sts.meta.endpoint_url
        session = {"key": keys["AccessKeyId"], "token": keys["SessionToken"]}
        identity = client(url, "sts", **session).get_caller_identity()
        registry = client(url, "ecr", **session).describe_registry()["registryId"]
        assert re.match(FORMS["AssumedRoleId"], identity["UserId"])
        seen.append((identity["Account"], identity["Arn"], registry))
    assert seen[0] == seen[1]
