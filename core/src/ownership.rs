//! Marks: the only place that makes and reads them. A statement of ours has the Sid `Ecp`, the installation id, and a
//! hash of its own normal form, so that a mark on anything else than what we wrote shows. A role of ours has tags that
//! name the installation and the object, and, unless the object names it, a name that follows from both. A mark is
//! evidence of who wrote a statement, never a proof: what to do about a wrong one is decided elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::api::Kind;
use crate::policy::Statement;
use crate::policy::digest::{digest, is_digest};

const PREFIX: &str = "Ecp";
const INSTALLATION: usize = 10;

/// Which cluster's operator: 10 characters of `[a-z2-7]`, from the UID of its kube-system namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstallationId(String);

/// Text that is no installation id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an installation id (10 characters of a-z and 2-7)")]
pub struct BadInstallationId(String);

impl InstallationId {
    /// The id of the cluster whose kube-system namespace has this UID.
    pub fn of_cluster(uid: &str) -> Self {
        Self(digest(uid).chars().take(INSTALLATION).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The Sid of a statement of this installation: follows from what it grants, so equal grants have one Sid.
    pub fn sid(&self, statement: &Statement) -> Sid {
        Sid(format!("{PREFIX}{}{}", self.0, digest(&statement.canonical())))
    }

    /// Whose mark a statement carries.
    pub fn read(&self, sid: Option<&str>) -> Mark {
        match sid.and_then(|sid| sid.parse::<Sid>().ok()) {
            None => Mark::Foreign,
            Some(sid) if sid.installation() == *self => Mark::Ours(sid),
            Some(sid) => Mark::OtherInstallation(sid.installation(), sid),
        }
    }

    /// The name of the role of an object that names none: 39 characters of `[A-Za-z0-9]`, another for every object of
    /// every cluster.
    pub fn role_name(&self, namespace: &str, object: &str) -> String {
        format!("{PREFIX}{}{}", self.0, digest(&format!("role {namespace}/{object}")))
    }

    /// The IAM path of roles where the Registry names none.
    pub fn role_path(&self) -> String {
        format!("/ecr-operator/{}/ptc/", self.0)
    }

    /// The tags of an object's role, by key.
    pub fn role_tags(&self, namespace: &str, object: &str) -> BTreeMap<String, String> {
        let values = [self.as_str(), Kind::CrossAccountPtcRole.as_str(), namespace, object];
        TAGS.into_iter().zip(values).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// Whose mark a role carries. Tags that are incomplete are nobody's mark.
    pub fn read_role(&self, tags: &BTreeMap<String, String>) -> RoleMark {
        let [installation, kind, namespace, name] = TAGS.map(|key| tags.get(key).cloned().unwrap_or_default());
        let owner = RoleOwner { namespace, name };
        match installation.parse::<Self>() {
            _ if kind != Kind::CrossAccountPtcRole.as_str() => RoleMark::Foreign,
            _ if owner.namespace.is_empty() || owner.name.is_empty() => RoleMark::Foreign,
            Err(_) => RoleMark::Foreign,
            Ok(installation) if installation == *self => RoleMark::Ours(owner),
            Ok(installation) => RoleMark::OtherInstallation(installation, owner),
        }
    }
}

/// The keys of a role's tags: installation, kind, namespace, name.
const TAGS: [&str; 4] = [
    "ecr-permissions.dev/installation",
    "ecr-permissions.dev/kind",
    "ecr-permissions.dev/namespace",
    "ecr-permissions.dev/name",
];

/// Whose mark a role carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleMark {
    /// None of ours: never touched.
    Foreign,
    /// This installation's, made for this object.
    Ours(RoleOwner),
    /// Another cluster's, made for that cluster's object.
    OtherInstallation(InstallationId, RoleOwner),
}

/// The CrossAccountPtcRole that a role was made for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleOwner {
    pub namespace: String,
    pub name: String,
}

/// Whether some installation may have made a role of this name (with its path or without) for an object of its own: such
/// a name is nobody's to choose. IAM compares names ignoring case (aws-facts A.3), and so does this.
pub fn is_generated_role_name(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let parts = name.strip_prefix(&PREFIX.to_ascii_lowercase()).and_then(|rest| rest.split_at_checked(INSTALLATION));
    parts.is_some_and(|(installation, hash)| installation.parse::<InstallationId>().is_ok() && is_digest(hash))
}

impl FromStr for InstallationId {
    type Err = BadInstallationId;
    fn from_str(text: &str) -> Result<Self, BadInstallationId> {
        let legal = |b: u8| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b);
        let is_id = text.len() == INSTALLATION && text.bytes().all(legal);
        if is_id { Ok(Self(text.to_owned())) } else { Err(BadInstallationId(text.to_owned())) }
    }
}

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The Sid of a statement that some installation of this operator wrote: 39 characters of `[A-Za-z0-9]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sid(String);

/// Text that is not a Sid of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a Sid of this operator")]
pub struct BadSid(String);

impl Sid {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whose it is.
    pub fn installation(&self) -> InstallationId {
        InstallationId(self.0[PREFIX.len()..PREFIX.len() + INSTALLATION].to_owned())
    }

    fn hash(&self) -> &str {
        &self.0[PREFIX.len() + INSTALLATION..]
    }
}

impl FromStr for Sid {
    type Err = BadSid;
    fn from_str(text: &str) -> Result<Self, BadSid> {
        let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_at_checked(INSTALLATION));
        let is_sid =
            parts.is_some_and(|(installation, hash)| installation.parse::<InstallationId>().is_ok() && is_digest(hash));
        if is_sid { Ok(Self(text.to_owned())) } else { Err(BadSid(text.to_owned())) }
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose mark a statement carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// None of ours: never touched.
    Foreign,
    /// This installation's.
    Ours(Sid),
    /// Another cluster's: foreign, until `takeOverInstallationIds` names it.
    OtherInstallation(InstallationId, Sid),
}

/// Whether the content under a Sid is what the Sid was made of; `None` is content that no statement of ours can have.
pub fn is_intact(sid: &Sid, statement: Option<&Statement>) -> bool {
    statement.is_some_and(|statement| digest(&statement.canonical()) == sid.hash())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::policy::{Action, Effect, Principal, Shared};

    fn statement(account: &str) -> Statement {
        Statement {
            effect: Effect::Allow,
            principals: [Principal::Account(account.parse().unwrap())].into(),
            actions: [Action::new("ecr:BatchGetImage")].into(),
            resources: Shared::default(),
            conditions: Shared::default(),
        }
    }

    /// aws-facts B.6: `[A-Za-z0-9]` only, at most 64, deterministic.
    #[test]
    fn a_sid_is_short_plain_and_follows_from_the_content() {
        let us = InstallationId::of_cluster("uid");
        let sid = us.sid(&statement("111111111111"));
        assert_eq!(sid.as_str().len(), 39);
        assert!(sid.as_str().bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(sid, us.sid(&statement("111111111111")));
        assert_ne!(sid, us.sid(&statement("222222222222")));
        assert_eq!(sid.installation(), us);
        assert_eq!(us.as_str().parse(), Ok(us));
    }

    /// Behaviour 17: two installations tell their statements apart.
    #[test]
    fn a_mark_says_whose_a_statement_is() {
        let (us, them) = (InstallationId::of_cluster("ours"), InstallationId::of_cluster("theirs"));
        let sid = us.sid(&statement("111111111111"));
        assert_eq!(us.read(Some(sid.as_str())), Mark::Ours(sid.clone()));
        assert_eq!(them.read(Some(sid.as_str())), Mark::OtherInstallation(us.clone(), sid.clone()));
        assert_ne!(sid, them.sid(&statement("111111111111")));
        assert_eq!(us.read(None), Mark::Foreign);
    }

    /// Behaviours 11 and 35: a forged Sid is foreign, or ours with content that is not.
    #[test]
    fn forged_marks_are_foreign_or_not_intact() {
        let us = InstallationId::of_cluster("ours");
        let sid = us.sid(&statement("111111111111"));
        let text = sid.as_str();
        let forged = [
            String::new(),
            "Ecp".to_owned(),
            text.to_ascii_uppercase(),
            text.to_ascii_lowercase(),
            format!("{text}a"),
            text[..38].to_owned(),
            format!("{}1", &text[..38]),
            // 128 bits leave two bits of the last character unused: they must be zero.
            format!("{}b", &text[..38]),
            format!(" {text}"),
            format!("{}é", &text[..37]),
        ];
        for sid in &forged {
            assert_eq!(us.read(Some(sid)), Mark::Foreign, "{sid}");
        }
        assert!(is_intact(&sid, Some(&statement("111111111111"))));
        assert!(!is_intact(&sid, Some(&statement("222222222222"))));
        assert!(!is_intact(&sid, None));
    }

    /// aws-facts A.3: `[A-Za-z0-9]`, at most 64, and ignoring case another for every object of every cluster.
    #[test]
    fn the_name_of_a_role_is_its_objects_alone() {
        let (us, them) = (InstallationId::of_cluster("ours"), InstallationId::of_cluster("theirs"));
        let name = us.role_name("team-a", "base");
        assert_eq!(name.len(), 39);
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(name, us.role_name("team-a", "base"));
        // No slash stands in a namespace, so no two objects are written alike.
        let others =
            [us.role_name("team-a", "base2"), us.role_name("team", "a-base"), them.role_name("team-a", "base")];
        let all: BTreeSet<_> = others.iter().chain([&name]).map(|name| name.to_ascii_lowercase()).collect();
        assert_eq!(all.len(), 4);
        for of_ours in [&name, &format!("ecr-operator/ptc/{name}"), &name.to_ascii_uppercase(), &others[2]] {
            assert!(is_generated_role_name(of_ours), "{of_ours}");
        }
        for other in
            ["", "Ecp", "ecr-cache", &name[..38], &format!("{name}a"), &format!("{name}/x"), &format!("x{name}")]
        {
            assert!(!is_generated_role_name(other), "{other}");
        }
        assert_eq!(us.role_path(), format!("/ecr-operator/{us}/ptc/"));
    }

    /// Behaviours 17 and 28: whose a role is stands in its tags, all four of them.
    #[test]
    fn the_tags_of_a_role_say_whose_it_is() {
        let (us, them) = (InstallationId::of_cluster("ours"), InstallationId::of_cluster("theirs"));
        let owner = RoleOwner { namespace: "team-a".to_owned(), name: "base".to_owned() };
        let mut tags = us.role_tags("team-a", "base");
        assert_eq!(
            tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>(),
            [
                format!("ecr-permissions.dev/installation={us}"),
                "ecr-permissions.dev/kind=CrossAccountPtcRole".to_owned(),
                "ecr-permissions.dev/name=base".to_owned(),
                "ecr-permissions.dev/namespace=team-a".to_owned(),
            ]
        );
        tags.insert("cost-centre".to_owned(), "42".to_owned());
        assert_eq!(us.read_role(&tags), RoleMark::Ours(owner.clone()));
        assert_eq!(them.read_role(&tags), RoleMark::OtherInstallation(us.clone(), owner));
        assert_eq!(us.read_role(&BTreeMap::new()), RoleMark::Foreign);
        for key in TAGS {
            let mut incomplete = tags.clone();
            incomplete.remove(key);
            assert_eq!(us.read_role(&incomplete), RoleMark::Foreign, "without {key}");
        }
        for (key, value) in [(TAGS[0], "Ours"), (TAGS[1], "Role")] {
            let mut odd = tags.clone();
            odd.insert(key.to_owned(), value.to_owned());
            assert_eq!(us.read_role(&odd), RoleMark::Foreign, "{key}={value}");
        }
    }
}
