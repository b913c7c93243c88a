//! Clients for one registry, and the proof that they are of its account. Nobody else holds a client: what is not
//! proven cannot be called, and what is not permitted cannot be written.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime::client::retries::RetryPartition;
use aws_smithy_runtime_api::client::identity::SharedIdentityCache;
use aws_smithy_types::retry::RetryConfig;
use ecr_permissions_core::api::{Identity, RegistrySpec};
use ecr_permissions_core::names::{AccountId, RegistryKey};
use ecr_permissions_core::reason::{Because, Reason};

use super::error::{Error, Kind, no_credentials};
use super::gate::{Gate, Rates};
use super::guard::Guard;
use super::metrics::AwsMetrics;
use crate::runtime::clock::Clock;
use crate::runtime::leader::Leadership;

/// How long the answer of GetCallerIdentity is believed; DescribeRegistry proves the account again on every pass.
const IDENTITY_BELIEVED: Duration = Duration::from_hours(1);
const DEFAULT_SESSION_NAME: &str = "ecr-permissions";

/// Nothing leaves any more: another process may be writing.
#[derive(Debug)]
pub struct NotLeading;

impl fmt::Display for NotLeading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this process does not lead any more")
    }
}

impl std::error::Error for NotLeading {}

/// A registry, and the role it is worked on as.
type Place = (RegistryKey, Option<Identity>);

/// All sessions, made when first needed and shared by role.
#[derive(Debug)]
pub struct Sessions {
    base: SdkConfig,
    clock: Clock,
    rates: Rates,
    leadership: Leadership,
    metrics: AwsMetrics,
    credentials: Mutex<BTreeMap<(Option<Identity>, String), Credentials>>,
    by_registry: Mutex<BTreeMap<Place, Arc<Session>>>,
    /// Only who has proven to be of an account calls its IAM: nobody else can use up its turns.
    iam_gates: Mutex<BTreeMap<AccountId, Arc<Gate>>>,
}

#[derive(Clone, Debug)]
struct Credentials {
    provider: Option<SharedCredentialsProvider>,
    cache: SharedIdentityCache,
}

/// One registry's clients, not yet proven.
#[derive(Debug)]
pub struct Session {
    key: RegistryKey,
    identity: Option<Identity>,
    pub(super) ecr: aws_sdk_ecr::Client,
    sts: aws_sdk_sts::Client,
    pub(super) secrets: aws_sdk_secretsmanager::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) gate: Gate,
    /// IAM is one for all Regions of an account, and so is its gate (aws-facts K.16).
    pub(super) iam_gate: Arc<Gate>,
    clock: Clock,
    /// When GetCallerIdentity last named the right account.
    identified: Mutex<Option<Duration>>,
}

/// A session whose credentials were shown to be of the registry's account.
#[derive(Clone, Debug)]
pub struct Proven {
    pub(super) session: Arc<Session>,
}

impl Sessions {
    pub fn new(base: SdkConfig, clock: Clock, rates: Rates, leadership: Leadership, metrics: AwsMetrics) -> Self {
        let (credentials, by_registry, iam_gates) = Default::default();
        Self { base, clock, rates, leadership, metrics, credentials, by_registry, iam_gates }
    }

    /// The session of a registry under its Registry's identity.
    pub async fn of(&self, key: &RegistryKey, spec: &RegistrySpec) -> Arc<Session> {
        let place = (key.clone(), spec.identity.clone());
        let known = self.by_registry.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        if let Some(session) = known {
            return session;
        }
        let session = Arc::new(self.make(key, spec.identity.as_ref()).await);
        let mut sessions = self.by_registry.lock().unwrap_or_else(PoisonError::into_inner);
        // A Registry whose identity was changed leaves its old session behind: nothing may go on using it.
        sessions.retain(|(other, identity), _| other != key || *identity == spec.identity);
        Arc::clone(sessions.entry(place).or_insert(session))
    }

    async fn make(&self, key: &RegistryKey, identity: Option<&Identity>) -> Session {
        let credentials = self.credentials(key, identity).await;
        let guard = Guard::new(key, self.leadership.clone(), self.metrics.clone());
        let partition = |service: &str| RetryPartition::custom(format!("{service}-{key}")).build();
        let mut config = self.region(key).into_builder().identity_cache(credentials.cache);
        if let Some(provider) = credentials.provider {
            config = config.credentials_provider(provider);
        }
        let config = config.build();
        let ecr =
            aws_sdk_ecr::config::Builder::from(&config).retry_partition(partition("ecr")).interceptor(guard.clone());
        let sts =
            aws_sdk_sts::config::Builder::from(&config).retry_partition(partition("sts")).interceptor(guard.clone());
        let secrets = aws_sdk_secretsmanager::config::Builder::from(&config)
            .retry_partition(partition("secretsmanager"))
            .interceptor(guard.clone());
        // Of the Region, the SDK makes the partition's one endpoint and the Region that it is signed for (aws-facts F).
        let iam = aws_sdk_iam::config::Builder::from(&config).retry_partition(partition("iam")).interceptor(guard);
        Session {
            key: key.clone(),
            identity: identity.cloned(),
            ecr: aws_sdk_ecr::Client::from_conf(ecr.build()),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            secrets: aws_sdk_secretsmanager::Client::from_conf(secrets.build()),
            iam: aws_sdk_iam::Client::from_conf(iam.build()),
            gate: Gate::new(self.clock, self.rates),
            iam_gate: self.iam_gate(&key.account),
            clock: self.clock,
            identified: Mutex::default(),
        }
    }

    fn iam_gate(&self, account: &AccountId) -> Arc<Gate> {
        let mut gates = self.iam_gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(account.clone()).or_insert_with(|| Arc::new(Gate::new(self.clock, self.rates)));
        Arc::clone(gate)
    }

    /// One provider and one cache a role and Region: the SDK's cache forgets arbitrary ones when it holds many.
    async fn credentials(&self, key: &RegistryKey, identity: Option<&Identity>) -> Credentials {
        let place = (identity.cloned(), key.region.to_string());
        let known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        if let Some(credentials) = known {
            return credentials;
        }
        let provider = match identity {
            None => None,
            Some(identity) => Some(SharedCredentialsProvider::new(self.assume(key, identity).await)),
        };
        let made = Credentials { provider, cache: IdentityCache::lazy().build() };
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner).entry(place).or_insert(made).clone()
    }

    async fn assume(&self, key: &RegistryKey, identity: &Identity) -> AssumeRoleProvider {
        let name = identity.session_name.as_deref().unwrap_or(DEFAULT_SESSION_NAME);
        let mut role = AssumeRoleProvider::builder(&identity.role_arn).session_name(name).configure(&self.region(key));
        if let Some(external_id) = &identity.external_id {
            role = role.external_id(external_id);
        }
        role.build().await
    }

    fn region(&self, key: &RegistryKey) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(Duration::from_secs(10))
            .operation_timeout(Duration::from_secs(30));
        self.base
            .clone()
            .into_builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(key.region.to_string()))
            .time_source(self.clock)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts.build())
            .build()
    }
}

impl Session {
    /// The clients, once STS has said that they are of the registry's account.
    pub async fn prove(self: &Arc<Self>) -> Result<Proven, Because> {
        let now = self.clock.now();
        let believed = *self.identified.lock().unwrap_or_else(PoisonError::into_inner);
        if believed.is_none_or(|at| now.saturating_sub(at) > IDENTITY_BELIEVED) {
            let identity = self.sts.get_caller_identity().send().await.map_err(|e| self.explain(&e))?;
            let account = identity.account().unwrap_or_default();
            if !self.is_account(account) {
                return Err(self.mismatch(account));
            }
            *self.identified.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        Ok(Proven { session: Arc::clone(self) })
    }

    pub(super) fn key(&self) -> &RegistryKey {
        &self.key
    }

    pub(super) fn is_account(&self, account: &str) -> bool {
        account == self.key.account.as_str()
    }

    /// The account is not the Registry's: no write, whoever asks.
    pub(super) fn mismatch(&self, account: &str) -> Because {
        *self.identified.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let cure = if self.identity.is_some() {
            "spec.identity.roleArn is of another account"
        } else {
            "the pod's own credentials are of another account; name a role of it in spec.identity.roleArn"
        };
        let message =
            format!("The credentials are of account {account}, and the Registry says {}: {cure}.", self.key.account);
        Because::new(Reason::AccountMismatch, message)
    }

    fn explain(
        &self,
        error: &aws_sdk_sts::error::SdkError<aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError>,
    ) -> Because {
        let failure = Error::of("GetCallerIdentity", error);
        if failure.kind == Kind::Transient && self.identity.is_none() && no_credentials(error) {
            let message = "The operator has no AWS credentials of its own, and the Registry names no role: give the pod an identity, or set spec.identity.";
            return Because::new(Reason::Unreachable, message);
        }
        self.because(&failure)
    }

    /// Whether a document write would go out at once.
    pub fn may_write_now(&self) -> bool {
        self.gate.document_is_free()
    }

    /// A failed call in the words of a condition.
    pub fn because(&self, error: &Error) -> Because {
        if error.kind == Kind::Throttled {
            let gate = if error.is_of_iam { &self.iam_gate } else { &self.gate };
            gate.throttled();
        }
        let message = match (&self.identity, error.kind) {
            (Some(identity), Kind::RoleDenied) => {
                let with =
                    if identity.external_id.is_some() { "with an external id" } else { "without an external id" };
                format!(
                    "Role {} could not be assumed {with}: check that it exists, that its trust policy names the operator's own role, and that both agree on sts:ExternalId.",
                    identity.role_arn
                )
            }
            _ => format!("{}: {}.", error.operation, error.message.trim_end_matches('.')),
        };
        Because::new(error.reason(), message)
    }
}
