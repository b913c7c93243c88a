"""IAM's roles through botocore: every operation, every refusal (aws-facts A.3, F)."""

import json

import pytest
from conftest import HOME, OTHER, REGION, policy, refused

NAME = {"RoleName": "ptc"}
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


def trust(principal):
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


SERVICE = trust({"Service": "pullthroughcache.ecr.amazonaws.com"})
PERMISSIONS = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}]}
)


@pytest.fixture
def role(iam):
    return iam.create_role(**NAME, AssumeRolePolicyDocument=SERVICE)["Role"]


def test_a_role_lives(iam, sim):
    boundary = sim.control("add_managed_policy", account=HOME, name="boundary", document=json.loads(PERMISSIONS))["arn"]
    wanted = {
        "Path": "/ops/ptc/",
        "Description": "caches",
        "MaxSessionDuration": 7200,
        "PermissionsBoundary": boundary,
        "Tags": [{"Key": "team", "Value": "a b"}],
    }
    created = iam.create_role(**NAME, AssumeRolePolicyDocument=SERVICE, **wanted)["Role"]
    got = iam.get_role(**NAME)["Role"]
    assert created | {"RoleLastUsed": {}} == got
    assert got["Arn"] == f"arn:aws:iam::{HOME}:role/ops/ptc/ptc"
    assert got["PermissionsBoundary"] == {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary}
    assert got["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "Service": "pullthroughcache.ecr.amazonaws.com"
    }
    assert (got["Description"], got["MaxSessionDuration"], got["Tags"]) == ("caches", 7200, wanted["Tags"])
    iam.update_role(**NAME, Description="caches still")
    got = iam.get_role(**NAME)["Role"]
    assert (got["Description"], got["MaxSessionDuration"]) == ("caches still", 3600)
    iam.delete_role(**NAME)
    refused(iam.get_role, "NoSuchEntity", 404, **NAME)
    for operation in (iam.delete_role, iam.update_role):
        refused(operation, "NoSuchEntity", 404, **NAME)


def test_names_ignore_case(iam, role):
    message = refused(iam.create_role, "EntityAlreadyExists", 409, RoleName="PTC", AssumeRolePolicyDocument=SERVICE)
    assert message == "Role with name PTC already exists."


@pytest.mark.parametrize(
    ("code", "status", "change"),
    [
        ("ValidationError", 400, {"RoleName": "a b"}),
        ("ValidationError", 400, {"Path": "no-slash"}),
        ("ValidationError", 400, {"MaxSessionDuration": 43_201}),
        ("MalformedPolicyDocument", 400, {"AssumeRolePolicyDocument": "{"}),
        ("MalformedPolicyDocument", 400, {"AssumeRolePolicyDocument": trust({"AWS": "AROAEXAMPLE"})}),
        ("LimitExceeded", 409, {"AssumeRolePolicyDocument": trust({"AWS": [f"arn:aws:iam::{HOME}:root"] * 70})}),
        ("InvalidInput", 400, {"Tags": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]}),
        ("InvalidInput", 400, {"PermissionsBoundary": f"arn:aws:iam::{HOME}:role/x"}),
        ("NoSuchEntity", 404, {"PermissionsBoundary": f"arn:aws:iam::{HOME}:policy/nobody"}),
    ],
)
def test_refusals(iam, code, status, change):
    refused(iam.create_role, code, status, **(NAME | {"AssumeRolePolicyDocument": SERVICE} | change))
    refused(iam.get_role, "NoSuchEntity", 404, **NAME)


def test_a_trust_is_replaced_and_its_principals_must_exist(iam, role):
    iam.update_assume_role_policy(**NAME, PolicyDocument=trust({"AWS": OTHER}))
    document = iam.get_role(**NAME)["Role"]["AssumeRolePolicyDocument"]
    assert document["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{OTHER}:root"}
    nobody = trust({"AWS": f"arn:aws:iam::{OTHER}:role/nobody"})
    message = refused(iam.update_assume_role_policy, "MalformedPolicyDocument", 400, **NAME, PolicyDocument=nobody)
    assert message == f'Invalid principal in policy: "AWS":"arn:aws:iam::{OTHER}:role/nobody"'
    refused(iam.update_assume_role_policy, "NoSuchEntity", 404, RoleName="nobody", PolicyDocument=SERVICE)


def test_inline_policies(iam, role):
    document = PERMISSIONS.replace('"ecr:*"', '[ "ecr:*" ]')
    iam.put_role_policy(**NAME, PolicyName="p1", PolicyDocument=document)
    iam.put_role_policy(**NAME, PolicyName="p2", PolicyDocument=PERMISSIONS)
    assert iam.get_role_policy(**NAME, PolicyName="p1")["PolicyDocument"] == json.loads(document)
    pages = iam.get_paginator("list_role_policies").paginate(**NAME, PaginationConfig={"PageSize": 1})
    assert [page["PolicyNames"] for page in pages] == [["p1"], ["p2"]]
    long = {"PolicyName": "p3", "PolicyDocument": PERMISSIONS.replace('"*"', f'"arn:{"x" * 10_100}"')}
    refused(iam.put_role_policy, "LimitExceeded", 409, **NAME, **long)
    refused(iam.put_role_policy, "MalformedPolicyDocument", 400, **NAME, PolicyName="p3", PolicyDocument="{")
    message = refused(iam.delete_role, "DeleteConflict", 409, **NAME)
    assert message == "Cannot delete entity, must delete policies first."
    for name in ("p1", "p2"):
        iam.delete_role_policy(**NAME, PolicyName=name)
    refused(iam.get_role_policy, "NoSuchEntity", 404, **NAME, PolicyName="p1")
    refused(iam.delete_role_policy, "NoSuchEntity", 404, **NAME, PolicyName="p1")
    refused(iam.list_role_policies, "NoSuchEntity", 404, RoleName="nobody")
    iam.delete_role(**NAME)


def test_attachments_and_profiles(iam, sim, role):
    iam.attach_role_policy(**NAME, PolicyArn=ADMIN)
    attached = iam.list_attached_role_policies(**NAME)["AttachedPolicies"]
    assert attached == [{"PolicyName": "AdministratorAccess", "PolicyArn": ADMIN}]
    refused(iam.attach_role_policy, "NoSuchEntity", 404, **NAME, PolicyArn=f"arn:aws:iam::{HOME}:policy/nobody")
    message = refused(iam.delete_role, "DeleteConflict", 409, **NAME)
    assert message == "Cannot delete entity, must detach all policies first."
    iam.detach_role_policy(**NAME, PolicyArn=ADMIN)
    refused(iam.detach_role_policy, "NoSuchEntity", 404, **NAME, PolicyArn=ADMIN)
    sim.control("set_instance_profile", account=HOME, role="ptc", name="profile", contains=True)
    profiles = iam.list_instance_profiles_for_role(**NAME)["InstanceProfiles"]
    assert [profile["InstanceProfileName"] for profile in profiles] == ["profile"]
    refused(iam.delete_role, "DeleteConflict", 409, **NAME)


def test_boundaries(iam, sim, role):
    boundary = sim.control("add_managed_policy", account=HOME, name="b", document=json.loads(PERMISSIONS))["arn"]
    iam.put_role_permissions_boundary(**NAME, PermissionsBoundary=boundary)
    assert iam.get_role(**NAME)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    iam.delete_role_permissions_boundary(**NAME)
    assert "PermissionsBoundary" not in iam.get_role(**NAME)["Role"]
    refused(iam.delete_role_permissions_boundary, "NoSuchEntity", 404, **NAME)
    put = iam.put_role_permissions_boundary
    refused(put, "NoSuchEntity", 404, **NAME, PermissionsBoundary=f"arn:aws:iam::{HOME}:policy/nobody")
    refused(put, "InvalidInput", 400, **NAME, PermissionsBoundary=f"arn:aws:iam::{HOME}:user/alice")
    of_service = "arn:aws:iam::aws:policy/aws-service-role/AWSECRPullThroughCache_ServiceRolePolicy"
    refused(put, "PolicyNotAttachable", 400, **NAME, PermissionsBoundary=of_service)


def test_tags(iam, role):
    iam.tag_role(**NAME, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    iam.tag_role(**NAME, Tags=[{"Key": "A", "Value": "2"}])
    assert iam.list_role_tags(**NAME)["Tags"] == [{"Key": "A", "Value": "2"}, {"Key": "b", "Value": ""}]
    iam.untag_role(**NAME, TagKeys=["a", "unknown"])
    pages = iam.get_paginator("list_role_tags").paginate(**NAME, PaginationConfig={"PageSize": 1})
    assert [page["Tags"] for page in pages] == [[{"Key": "b", "Value": ""}]]
    refused(iam.tag_role, "InvalidInput", 400, **NAME, Tags=[{"Key": "aws:x", "Value": ""}])
    many = [{"Key": f"k{n}", "Value": ""} for n in range(50)]
    refused(iam.tag_role, "LimitExceeded", 409, **NAME, Tags=many)
    refused(iam.untag_role, "NoSuchEntity", 404, RoleName="nobody", TagKeys=["a"])


def test_a_services_role_is_protected(iam, ecr):
    ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="cache", upstreamRegistryUrl="quay.io")
    name = {"RoleName": "AWSServiceRoleForECRPullThroughCache"}
    assert iam.get_role(**name)["Role"]["Path"] == "/aws-service-role/pullthroughcache.ecr.amazonaws.com/"
    refused(iam.delete_role, "UnmodifiableEntity", 400, **name)
    refused(iam.update_role, "UnmodifiableEntity", 400, **name)


def test_a_deleted_role_is_its_id_in_every_policy(iam, ecr, sim, role):
    sim.control("add_repository", account=HOME, region=REGION, name="app")
    text = policy([role["Arn"]], "ecr:BatchGetImage")
    ecr.put_registry_policy(policyText=text)
    ecr.set_repository_policy(repositoryName="app", policyText=text)
    iam.delete_role(**NAME)
    iam.create_role(**NAME, AssumeRolePolicyDocument=SERVICE)
    for read in (ecr.get_registry_policy(), ecr.get_repository_policy(repositoryName="app")):
        assert json.loads(read["policyText"])["Statement"][0]["Principal"]["AWS"] == role["RoleId"]


def test_a_young_role_is_no_principal_yet(iam, ecr, sim):
    sim.control("set_propagation", ms=3_600_000)
    sim.control("add_repository", account=HOME, region=REGION, name="app")
    arn = iam.create_role(**NAME, AssumeRolePolicyDocument=SERVICE)["Role"]["Arn"]
    assert iam.get_role(**NAME)["Role"]["Arn"] == arn
    text = policy([arn], "ecr:BatchGetImage")
    assert "Invalid registry policy" in refused(
        ecr.put_registry_policy, "InvalidParameterException", 400, policyText=text
    )
    wanted = {"repositoryName": "app", "policyText": text}
    assert "Principal not found" in refused(ecr.set_repository_policy, "InvalidParameterException", 400, **wanted)


def test_faults_and_throttling_reach_iam(iam, sim, role):
    wrong = {"effect": {"error": {"status": 409, "code": "ConcurrentModification", "message": "m"}}, "times": 1}
    sim.control("inject", fault=wrong | {"service": "iam", "operation": "TagRole", "account": HOME})
    refused(iam.tag_role, "ConcurrentModification", 409, **NAME, Tags=[{"Key": "a", "Value": ""}])
    sim.control(
        "set_throttle", account=HOME, region="aws-global", operation="GetRole", per_second=0.0001, burst=1
    )
    iam.get_role(**NAME)
    refused(iam.get_role, "Throttling", 400, **NAME)
    call = [c for c in sim.control("calls")["calls"] if c["operation"] == "CreateRole"][0]
    assert (call["service"], call["region"], call["account"]) == ("iam", "aws-global", HOME)
    assert (call["is_write"], call["target"], call["write"]["before"]) == (True, "role/ptc", None)
    assert json.loads(call["write"]["after"])["name"] == "ptc"
