//! The names AWS and people use, parsed once: what is of one of these types is well-formed, and a plain `String`
//! account id goes no further than this file.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a name was refused: what was expected, what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not {expected}")]
pub struct BadName {
    pub given: String,
    pub expected: &'static str,
}

macro_rules! parsed_name {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(given: &str) -> Result<Self, BadName> {
                let check: fn(&str) -> bool = $check;
                if check(given) {
                    Ok(Self(given.to_owned()))
                } else {
                    Err(BadName { given: given.to_owned(), expected: $expected })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(given: String) -> Result<Self, BadName> {
                given.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

parsed_name!(
    /// An AWS account id: 12 digits (aws-facts A.0, `RegistryId`).
    AccountId,
    "an AWS account id (12 digits)",
    |given| given.len() == 12 && given.bytes().all(|b| b.is_ascii_digit())
);

parsed_name!(
    /// An AWS Region as ECR writes it: 2–25 of `[0-9a-z-]` (aws-facts A.0).
    Region,
    "an AWS Region such as eu-west-1",
    |given| (2..=25).contains(&given.len())
        && given.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase() || b == b'-')
);

parsed_name!(
    /// A repository's exact name, or a prefix and one `*` at the end: keeps "is contained in" decidable.
    RepositoryPattern,
    "a repository name, or a prefix with one \"*\" at its end",
    is_repository_pattern
);

fn is_repository_pattern(given: &str) -> bool {
    let stem = given.strip_suffix('*').unwrap_or(given);
    let exact = stem.len() == given.len();
    if given.len() > 256 || (exact && stem.len() < 2) {
        return false;
    }
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'/');
    let starts_well = stem.bytes().next().is_none_or(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let ends_well = !exact || stem.bytes().last().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    stem.bytes().all(legal) && starts_well && ends_well && !stem.contains("//")
}

impl RepositoryPattern {
    /// Every repository.
    pub fn all() -> Self {
        Self("*".to_owned())
    }

    /// Whether every repository this pattern names is named by `wide` too: `team-a*` contains `team-ab`.
    pub fn is_within(&self, wide: &Self) -> bool {
        match wide.0.strip_suffix('*') {
            None => self == wide,
            Some(stem) => self.0.strip_suffix('*').unwrap_or(&self.0).starts_with(stem),
        }
    }
}

parsed_name!(
    /// Prefix of the repositories of a pull through cache, or of those in its upstream: 2–30 characters without a slash at
    /// the end, or `ROOT` for all of them (aws-facts A.0, D.3). A slash is always meant behind it.
    CachePrefix,
    "a prefix of repository names (2–30 characters, no slash at its end) or ROOT",
    is_cache_prefix
);

fn is_cache_prefix(given: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    // Between two letters or digits: one dot, one or two underscores, any number of dashes.
    let separator = |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|b| b == b'-');
    let part = |part: &str| {
        let ends = part.bytes().next().is_some_and(legal) && part.bytes().last().is_some_and(legal);
        ends && part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(separator)
    };
    given == "ROOT" || ((2..=30).contains(&given.len()) && given.split('/').all(part))
}

impl CachePrefix {
    /// As AWS writes one, which may have a slash at its end (aws-facts D.3).
    pub fn of_aws(text: &str) -> Result<Self, BadName> {
        text.strip_suffix('/').unwrap_or(text).parse()
    }

    /// Whether it stands for every repository that no other prefix is for.
    pub fn is_root(&self) -> bool {
        self.0 == "ROOT"
    }

    /// The repositories under it: `team-a/*`, which `team-ab/app` and `team-a` itself are not.
    pub fn repositories(&self) -> RepositoryPattern {
        if self.is_root() { RepositoryPattern::all() } else { RepositoryPattern(format!("{}/*", self.0)) }
    }

    /// Whether one rule would serve repositories of the other's: equal, or one beneath the other. `ROOT` is the fallback
    /// behind all others, and takes nothing from them.
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.is_root() || other.is_root() {
            return self == other;
        }
        let beneath = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        self == other || beneath(&self.0, &other.0) || beneath(&other.0, &self.0)
    }
}

/// The AWS partition of a Region: `aws`, `aws-cn`, … (aws-facts D.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(&'static str);

impl Partition {
    pub const AWS: Self = Self("aws");

    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// What the hosts of ECR registries end in (aws-facts D.1, D.8).
    pub fn dns_suffix(self) -> &'static str {
        match self.0 {
            "aws-cn" => "amazonaws.com.cn",
            "aws-iso" => "c2s.ic.gov",
            "aws-iso-b" => "sc2s.sgov.gov",
            "aws-iso-e" => "cloud.adc-e.uk",
            "aws-iso-f" => "csp.hci.ic.gov",
            "aws-eusc" => "amazonaws.eu",
            _ => "amazonaws.com",
        }
    }
}

impl Region {
    pub fn partition(&self) -> Partition {
        let known: [(&str, &'static str); 7] = [
            ("cn-", "aws-cn"),
            ("us-gov-", "aws-us-gov"),
            ("us-iso-", "aws-iso"),
            ("us-isob-", "aws-iso-b"),
            ("us-isof-", "aws-iso-f"),
            ("eu-isoe-", "aws-iso-e"),
            ("eusc-", "aws-eusc"),
        ];
        let partition = known.iter().find(|(prefix, _)| self.0.starts_with(prefix)).map_or("aws", |(_, name)| name);
        Partition(partition)
    }
}

/// One private registry: an account in a Region. Everything AWS keeps per registry hangs on this key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryKey {
    pub account: AccountId,
    pub region: Region,
}

impl RegistryKey {
    /// Whether account and Region, as they are on record, are its own.
    pub fn is_at(&self, account: &str, region: &str) -> bool {
        (self.account.as_str(), self.region.as_str()) == (account, region)
    }

    pub fn partition(&self) -> Partition {
        self.region.partition()
    }

    /// Where images are pulled from: `123456789012.dkr.ecr.eu-west-1.amazonaws.com`.
    pub fn host(&self) -> String {
        format!("{}.dkr.ecr.{}.{}", self.account, self.region, self.partition().dns_suffix())
    }

    /// The registry whose images are pulled from a host.
    pub fn of_host(host: &str) -> Option<Self> {
        let (account, rest) = host.split_once(".dkr.ecr.")?;
        let key = Self { account: account.parse().ok()?, region: rest.split('.').next()?.parse().ok()? };
        (key.host() == host).then_some(key)
    }

    /// The ARN of an IAM role of this account: `path` has a slash at both ends.
    pub fn role_arn(&self, path: &str, name: &str) -> String {
        format!("arn:{}:iam::{}:role{path}{name}", self.partition().as_str(), self.account)
    }

    /// The ARN of the repositories a pattern names, in this registry.
    pub fn repository_arn(&self, pattern: &RepositoryPattern) -> String {
        format!("arn:{}:ecr:{}:{}:repository/{pattern}", self.partition().as_str(), self.region, self.account)
    }
}

impl fmt::Display for RegistryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> RepositoryPattern {
        text.parse().unwrap()
    }

    #[test]
    fn an_account_id_is_twelve_digits() {
        assert!("123456789012".parse::<AccountId>().is_ok());
        for bad in ["", "12345678901", "1234567890123", "12345678901a", "arn:aws:iam::123456789012:root"] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn containment_of_patterns_is_proven_not_guessed() {
        assert!(pattern("team-a/app").is_within(&pattern("team-a/*")));
        assert!(pattern("team-ab").is_within(&pattern("team-a*")));
        assert!(pattern("team-a/b*").is_within(&pattern("team-a/*")));
        assert!(!pattern("team-a*").is_within(&pattern("team-a/*")));
        assert!(!pattern("team-ab").is_within(&pattern("team-a/*")));
        assert!(!pattern("*").is_within(&pattern("team-a*")));
        assert!(pattern("team-a*").is_within(&pattern("*")));
    }

    #[test]
    fn a_pattern_has_one_star_and_only_at_its_end() {
        for bad in ["", "a", "*a", "a*b", "a**", "-a", "a/", "A/b", "a//b", "a b", "a?"] {
            assert!(bad.parse::<RepositoryPattern>().is_err(), "{bad}");
        }
        for good in ["*", "a*", "team-a/*", "team/app.web_1", "ab"] {
            assert!(good.parse::<RepositoryPattern>().is_ok(), "{good}");
        }
    }

    fn prefix(text: &str) -> CachePrefix {
        text.parse().unwrap()
    }

    /// aws-facts A.0 and D.3: the same strings that the definition's pattern takes.
    #[test]
    fn a_cache_prefix_is_two_to_thirty_characters_or_root() {
        let long = "a".repeat(30);
        for good in ["ROOT", "ab", "docker-hub", "team-a/base", "a.b_c__d---e", "0/1", long.as_str()] {
            assert!(good.parse::<CachePrefix>().is_ok(), "{good}");
        }
        let long = "a".repeat(31);
        for bad in [
            "",
            "a",
            "Root",
            "ROOT/",
            "ROOT/a",
            "team-a/",
            "/team-a",
            "team-a//b",
            "team-a-",
            "-team",
            "a..b",
            "a___b",
            "a.-b",
            "Team",
            "team a",
            "team-a/*",
            "a*",
            "a/..",
            "é-a",
            long.as_str(),
        ] {
            assert!(bad.parse::<CachePrefix>().is_err(), "{bad}");
        }
        assert_eq!(CachePrefix::of_aws("team-a/"), "team-a".parse());
        assert!(CachePrefix::of_aws("team-a//").is_err());
    }

    /// Behaviours 24 and 35: what nests is told from what only begins alike.
    #[test]
    fn prefixes_overlap_if_one_is_beneath_the_other_and_root_overlaps_with_itself_alone() {
        let overlaps = |a: &str, b: &str| {
            assert_eq!(prefix(a).overlaps(&prefix(b)), prefix(b).overlaps(&prefix(a)));
            prefix(a).overlaps(&prefix(b))
        };
        assert!(overlaps("team-a", "team-a"));
        assert!(overlaps("team-a", "team-a/base"));
        assert!(!overlaps("team-a", "team-ab"));
        assert!(!overlaps("team-a/x", "team-a/xy"));
        assert!(!overlaps("ROOT", "team-a"));
        assert!(overlaps("ROOT", "ROOT"));
        assert_eq!(prefix("team-a").repositories(), pattern("team-a/*"));
        assert_eq!(prefix("ROOT").repositories(), pattern("*"));
    }

    /// aws-facts D.1.
    #[test]
    fn the_host_of_a_registry_is_of_its_partition() {
        let host = |region: &str| {
            RegistryKey { account: "111111111111".parse().unwrap(), region: region.parse().unwrap() }.host()
        };
        assert_eq!(host("eu-west-1"), "111111111111.dkr.ecr.eu-west-1.amazonaws.com");
        assert_eq!(host("us-gov-west-1"), "111111111111.dkr.ecr.us-gov-west-1.amazonaws.com");
        assert_eq!(host("cn-north-1"), "111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn");
        assert_eq!(host("eusc-de-east-1"), "111111111111.dkr.ecr.eusc-de-east-1.amazonaws.eu");
    }

    #[test]
    fn the_partition_follows_the_region() {
        let partition = |region: &str| region.parse::<Region>().unwrap().partition().as_str();
        assert_eq!(partition("eu-west-1"), "aws");
        assert_eq!(partition("cn-north-1"), "aws-cn");
        assert_eq!(partition("us-gov-west-1"), "aws-us-gov");
        assert_eq!(partition("eusc-de-east-1"), "aws-eusc");
    }
}
