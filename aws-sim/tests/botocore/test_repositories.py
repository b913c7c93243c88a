"""Repositories and their policies through botocore: every operation, every refusal (aws-facts A.1, B)."""

import json

import pytest
from conftest import HOME, OTHER, REGION, policy, refused

AT = {"account": HOME, "region": REGION, "name": "team/app"}


def test_a_repository_lives(ecr, sim):
    created = ecr.create_repository(repositoryName="team/app", tags=[{"Key": "team", "Value": "a"}])["repository"]
    assert created["repositoryUri"] == f"{HOME}.dkr.ecr.{REGION}.amazonaws.com/team/app"
    assert ecr.describe_repositories(repositoryNames=["team/app"])["repositories"] == [created]
    refused(ecr.create_repository, "RepositoryAlreadyExistsException", 400, repositoryName="team/app")
    sim.control("put_image", **AT, tag="v1")
    refused(ecr.delete_repository, "RepositoryNotEmptyException", 400, repositoryName="team/app")
    ecr.delete_repository(repositoryName="team/app", force=True)
    assert ecr.describe_repositories()["repositories"] == []
    refused(ecr.delete_repository, "RepositoryNotFoundException", 400, repositoryName="team/app")
    refused(ecr.describe_repositories, "RepositoryNotFoundException", 400, repositoryNames=["team/app"])
    refused(ecr.create_repository, "InvalidParameterException", 400, repositoryName="Team")


def test_repositories_come_in_pages(ecr, sim):
    for n in range(205):
        sim.control("add_repository", **(AT | {"name": f"app-{n:03}"}))
    pages = ecr.get_paginator("describe_repositories").paginate()
    assert [len(page["repositories"]) for page in pages] == [100, 100, 5]


def test_a_policy_is_set_read_and_deleted(ecr, sim):
    sim.control("add_repository", **AT)
    name = {"repositoryName": "team/app"}
    refused(ecr.get_repository_policy, "RepositoryPolicyNotFoundException", 400, **name)
    refused(ecr.delete_repository_policy, "RepositoryPolicyNotFoundException", 400, **name)
    text = policy([OTHER], "ecr:BatchGetImage")
    put = ecr.set_repository_policy(**name, policyText=text)
    assert (put["registryId"], put["repositoryName"]) == (HOME, "team/app")
    assert sim.control("repository_policy", **AT)["text"] == text
    got = json.loads(ecr.get_repository_policy(**name)["policyText"])
    assert got["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{OTHER}:root"}
    assert "BatchGetImage" in ecr.delete_repository_policy(**name)["policyText"]
    nowhere = {"repositoryName": "nowhere"}
    refused(ecr.get_repository_policy, "RepositoryNotFoundException", 400, **nowhere)
    refused(ecr.delete_repository_policy, "RepositoryNotFoundException", 400, **nowhere)
    refused(ecr.set_repository_policy, "RepositoryNotFoundException", 400, **nowhere, policyText=text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Invalid repository policy provided"),
        (policy([OTHER], "ecr:GetAuthorizationToken"), "Invalid repository policy provided"),
        (policy([f"arn:aws:iam::{HOME}:role/nobody"]), "Principal not found"),
    ],
)
def test_a_bad_policy_is_refused(ecr, sim, text, message):
    sim.control("add_repository", **AT)
    wanted = {"repositoryName": "team/app", "policyText": text}
    because = refused(ecr.set_repository_policy, "InvalidParameterException", 400, **wanted)
    assert because == f"Invalid parameter at 'PolicyText' failed to satisfy constraint: '{message}'"


def test_locking_oneself_out_takes_force(ecr, sim):
    sim.control("add_repository", **AT)
    wanted = {"repositoryName": "team/app", "policyText": policy(["*"], "ecr:*").replace("Allow", "Deny")}
    refused(ecr.set_repository_policy, "InvalidParameterException", 400, **wanted)
    ecr.set_repository_policy(**wanted, force=True)


def test_another_accounts_registry_needs_a_grant(ecr, sim):
    theirs = sim.client("ecr", "AKIAOTHERROOT")
    wanted = {"repositoryName": "from-other", "registryId": HOME}
    refused(theirs.create_repository, "AccessDeniedException", 403, **wanted)
    ecr.put_registry_policy(policyText=policy([OTHER], "ecr:CreateRepository"))
    assert theirs.create_repository(**wanted)["repository"]["registryId"] == HOME
