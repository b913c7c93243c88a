"""The simulator and moto on roles and secrets (see differential.py)."""

import json

import pytest
from differential import ACCOUNT, KEY, assert_alike, both_sides

OTHER = "222222222222"
NAME = {"RoleName": "ptc"}
REGION = "eu-west-1"
SECRET = "ecr-pullthroughcache/hub"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"


def trust(principal, **more):
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"} | more
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


SERVICE = trust({"Service": "pullthroughcache.ecr.amazonaws.com"})
ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}]}
PERMISSIONS = json.dumps(ALLOW)
WORLD = {
    "accounts": [
        {
            "id": ACCOUNT,
            "managed_policies": {"boundary": ALLOW},
            "access_keys": [{"id": KEY, "principal": "root"}],
            "registries": [{"region": REGION, "secrets": [{"name": SECRET}]}],
        }
    ]
}

# (case, what differs) -> the line of aws-facts that decides for the simulator.
DIFFERENCES = {
    ("a read of no role", "message"): "A.3 has no text: AWS's own, from its field reports; moto has words of its own",
    ("a deletion of no role", "message"): "A.3: likewise",
    ("an update of no role", "message"): "A.3: likewise",
    ("a trust of no role", "message"): "A.3: likewise",
    ("a policy of no role", "message"): "A.3: likewise",
    ("tags of no role", "message"): "A.3: likewise",
    ("a read of what is gone", "message"): "A.3: likewise",
    ("a policy that is not there", "message"): "A.3: likewise",
    ("a creation with a bad path", "outcome"): "A.3: the path's pattern; moto does not look",
    ("a creation with a bad name", "outcome"): "A.3: the name's pattern; moto does not look",
    ("a creation with too long a session", "outcome"): "A.3: 3600 to 43200; moto does not look",
    ("a creation with a boundary that is not there", "outcome"): "A.3: NoSuchEntity, by field reports; moto takes it",
    ("a creation with a boundary that is none", "outcome"): "A.3: CreateRole has InvalidInput, no InvalidParameterValue",
    ("a creation trusting nobody", "outcome"): "A.3, F: the document is checked; moto takes any on creation",
    ("a creation with no JSON", "outcome"): "A.3, F: likewise",
    ("a creation", "PermissionsBoundary"): "[M], its text: the type 'can only have a value of Policy'; moto: the enum's",
    ("a read", "PermissionsBoundary"): "[M]: likewise",
    ("a read after the updates", "PermissionsBoundary"): "[M]: likewise",
    ("a read of that trust", "PermissionsBoundary"): "[M]: likewise",
    ("a creation", "RoleLastUsed"): "A.3: nothing says that a new role shows it; GetRole does, on both sides",
    ("another role", "RoleLastUsed"): "A.3: likewise",
    ("a second creation in capitals", "outcome"): "A.3: names are unique ignoring case",
    ("a trust of another action", "message"): "F has no text",
    ("a trust of nobody", "outcome"): "F: MalformedPolicyDocument, 'Invalid principal in policy'; moto does not look",
    ("a trust of a dead role", "outcome"): "F: likewise",
    ("a trust of no service", "outcome"): "F: likewise",
    ("a trust of too many", "outcome"): "F: 2,048 characters; moto does not count",
    ("a policy with a principal", "outcome"): "F: an identity's policy names nobody; moto does not look",
    ("a policy with an odd effect", "message"): "A.3 has no text",
    ("a policy that is too long", "outcome"): "F: 10,240 characters of all inline policies; moto does not count",
    ("policies in pages", "PolicyNames"): "A.3: MaxItems and IsTruncated; moto does not page this list",
    ("policies in pages", "IsTruncated"): "A.3: likewise",
    ("policies in pages", "Marker"): "A.3: likewise",
    ("instance profiles listed", "IsTruncated"): "A.3: 'check IsTruncated'; moto leaves it out",
    ("a reserved tag", "outcome"): "A.3: TagRole has InvalidInput; moto lets one tag in AWS's name",
    ("a bad tag", "message"): "A.3 has the pattern, not the text",
    ("too many tags", "outcome"): "A.3, F: 50 on a role; moto counts those of one call",
    ("tags listed", "Tags"): "[IAM id_tags]: keys of roles ignore letter case, a new writing replaces the old",
    ("tags listed again", "Tags"): "[IAM id_tags]: likewise",
    ("a boundary taken away twice", "outcome"): "A.3: NoSuchEntity; moto does not look",
    ("no secret", "status"): "A.6: a modelled client error of a JSON service is a 400; moto says 404",
}


def _create(**change):
    wanted = NAME | {"AssumeRolePolicyDocument": SERVICE} | change
    return lambda aws: aws.iam.create_role(**wanted)


def _trust(document):
    return lambda aws: aws.iam.update_assume_role_policy(**NAME, PolicyDocument=document)


def _inline(document, name="p1"):
    return lambda aws: aws.iam.put_role_policy(**NAME, PolicyName=name, PolicyDocument=document)


def _permissions(**change):
    statement = {name: value for name, value in (ALLOW["Statement"][0] | change).items() if value is not None}
    return json.dumps(ALLOW | {"Statement": [statement]})


def _tags(*pairs, role="ptc"):
    return lambda aws: aws.iam.tag_role(RoleName=role, Tags=[{"Key": key, "Value": value} for key, value in pairs])


# Run in this order, on one account of each side.
CASES = {
    "a read of no role": lambda aws: aws.iam.get_role(**NAME),
    "a deletion of no role": lambda aws: aws.iam.delete_role(**NAME),
    "an update of no role": lambda aws: aws.iam.update_role(**NAME),
    "a trust of no role": _trust(SERVICE),
    "a policy of no role": _inline(PERMISSIONS),
    "tags of no role": lambda aws: aws.iam.list_role_tags(**NAME),
    "a creation with a bad path": _create(RoleName="refused-1", Path="no-slash"),
    "a creation with a bad name": _create(RoleName="a b"),
    "a creation with too long a session": _create(RoleName="refused-2", MaxSessionDuration=43_201),
    "a creation with a boundary that is not there": _create(RoleName="refused-3", PermissionsBoundary=f"{BOUNDARY}-of-nobody"),
    "a creation with a boundary that is none": _create(RoleName="refused-4", PermissionsBoundary=f"arn:aws:iam::{ACCOUNT}:role/x"),
    "a creation with a tag twice": _create(RoleName="refused-5", Tags=[{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]),
    "a creation trusting nobody": _create(RoleName="refused-6", AssumeRolePolicyDocument="{}"),
    "a creation with no JSON": _create(RoleName="refused-7", AssumeRolePolicyDocument="{"),
    "a creation": _create(
        Path="/ops/",
        Description="caches",
        MaxSessionDuration=7200,
        PermissionsBoundary=BOUNDARY,
        Tags=[{"Key": "team", "Value": "a b"}],
    ),
    "a second creation": _create(),
    "a second creation in capitals": _create(RoleName="PTC"),
    "a read": lambda aws: aws.iam.get_role(**NAME),
    "an update": lambda aws: aws.iam.update_role(**NAME, Description="still", MaxSessionDuration=43_200),
    "an update without a duration": lambda aws: aws.iam.update_role(**NAME, Description="still"),
    "a read after the updates": lambda aws: aws.iam.get_role(**NAME),
    "a trust with a resource": _trust(trust({"Service": "ecr.amazonaws.com"}, Resource="*")),
    "a trust of another action": _trust(trust({"Service": "ecr.amazonaws.com"}, Action="s3:GetObject")),
    "a trust of nobody": _trust(trust({"AWS": f"arn:aws:iam::{ACCOUNT}:role/nobody"})),
    "a trust of a dead role": _trust(trust({"AWS": "AROAEXAMPLEEXAMPLE123"})),
    "a trust of no service": _trust(trust({"Service": "nobody"})),
    "a trust of too many": _trust(trust({"AWS": [f"arn:aws:iam::{n:012}:root" for n in range(70)]})),
    "a trust of an account": _trust(trust({"AWS": f"arn:aws:iam::{OTHER}:root"})),
    "a read of that trust": lambda aws: aws.iam.get_role(**NAME),
    "a policy that is no JSON": _inline("{"),
    "a policy with a principal": _inline(_permissions(Principal="*")),
    "a policy without an action": _inline(_permissions(Action=None)),
    "a policy without a resource": _inline(_permissions(Resource=None)),
    "a policy without a vendor": _inline(_permissions(Action="GetObject")),
    "a policy of no ARN": _inline(_permissions(Resource="repository/x")),
    "a policy with an odd effect": _inline(_permissions(Effect="allow")),
    "a policy that is too long": _inline(_permissions(Resource="arn:aws:ecr:" + "x" * 10_240)),
    "a policy": _inline(PERMISSIONS),
    "another policy": _inline(PERMISSIONS, "p2"),
    "a policy read": lambda aws: aws.iam.get_role_policy(**NAME, PolicyName="p1"),
    "a policy that is not there": lambda aws: aws.iam.get_role_policy(**NAME, PolicyName="p3"),
    "a deletion of a policy that is not there": lambda aws: aws.iam.delete_role_policy(**NAME, PolicyName="p3"),
    "policies listed": lambda aws: aws.iam.list_role_policies(**NAME),
    "policies in pages": lambda aws: aws.iam.list_role_policies(**NAME, MaxItems=1),
    "an attachment": lambda aws: aws.iam.attach_role_policy(**NAME, PolicyArn=ADMIN),
    "an attachment of nothing": lambda aws: aws.iam.attach_role_policy(**NAME, PolicyArn=f"{BOUNDARY}-of-nobody"),
    "attachments listed": lambda aws: aws.iam.list_attached_role_policies(**NAME),
    "attachments of a path": lambda aws: aws.iam.list_attached_role_policies(**NAME, PathPrefix="/team/"),
    "a deletion with an attachment": lambda aws: aws.iam.delete_role(**NAME),
    "a detachment": lambda aws: aws.iam.detach_role_policy(**NAME, PolicyArn=ADMIN),
    "a second detachment": lambda aws: aws.iam.detach_role_policy(**NAME, PolicyArn=ADMIN),
    "a deletion with policies": lambda aws: aws.iam.delete_role(**NAME),
    "instance profiles listed": lambda aws: aws.iam.list_instance_profiles_for_role(**NAME),
    "tags": _tags(("a", "1"), ("b", "")),
    "a tag in capitals": _tags(("A", "2")),
    "another role": _create(RoleName="other", Tags=[{"Key": "a", "Value": ""}]),
    "a reserved tag": _tags(("aws:x", "1"), role="other"),
    "a bad tag": _tags(("a?", "1"), role="other"),
    "too many tags": _tags(*[(f"k{n}", "") for n in range(50)], role="other"),
    "tags listed": lambda aws: aws.iam.list_role_tags(**NAME),
    "tags taken away": lambda aws: aws.iam.untag_role(**NAME, TagKeys=["A", "unknown"]),
    "tags listed again": lambda aws: aws.iam.list_role_tags(**NAME),
    "a boundary taken away": lambda aws: aws.iam.delete_role_permissions_boundary(**NAME),
    "a boundary taken away twice": lambda aws: aws.iam.delete_role_permissions_boundary(**NAME),
    "a boundary": lambda aws: aws.iam.put_role_permissions_boundary(**NAME, PermissionsBoundary=BOUNDARY),
    "a policy deleted": lambda aws: aws.iam.delete_role_policy(**NAME, PolicyName="p1"),
    "the other policy deleted": lambda aws: aws.iam.delete_role_policy(**NAME, PolicyName="p2"),
    "a deletion": lambda aws: aws.iam.delete_role(**NAME),
    "a read of what is gone": lambda aws: aws.iam.get_role(**NAME),
    "a secret": lambda aws: aws.secretsmanager.describe_secret(SecretId=SECRET),
    "no secret": lambda aws: aws.secretsmanager.describe_secret(SecretId="nobody"),
}


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    with both_sides(WORLD, tmp_path_factory.mktemp("world"), ("iam", "secretsmanager")) as (sides, _):
        sides["moto"].iam.create_policy(PolicyName="boundary", PolicyDocument=PERMISSIONS)
        sides["moto"].secretsmanager.create_secret(Name=SECRET, SecretString="a value")
        yield sides


def test_both_answer_alike_or_the_facts_decide(sides):
    assert_alike(CASES, DIFFERENCES, sides)
