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
use aws_smithy_runtime::client::retries::RetryPartition;
use aws_smithy_types::retry::RetryConfig;
use ecr_permissions_core::api::{Identity, RegistrySpec};
use ecr_permissions_core::names::{AccountId, RegistryKey};
use ecr_permissions_core::reason::Because;
use k8s_openapi::jiff::Timestamp;

use super::credentials::Credentials;
use super::date::AwsDate;
use super::gate::{Gate, Lane, Rates};
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
    roles: Mutex<BTreeMap<(Option<Identity>, String), Role>>,
    by_registry: Mutex<BTreeMap<Place, Arc<Session>>>,
    /// Only who has proven to be of an account calls its IAM: nobody else can use up its turns.
    iam_gates: Mutex<BTreeMap<AccountId, Arc<Gate>>>,
}

/// A role in a Region, or the pod's own.
#[derive(Clone, Debug)]
struct Role {
    /// Nothing: the pod's own.
    provider: Option<SharedCredentialsProvider>,
    credentials: Credentials,
}

/// One registry's clients, not yet proven.
#[derive(Debug)]
pub struct Session {
    pub(super) key: RegistryKey,
    pub(super) identity: Option<Identity>,
    pub(super) credentials: Credentials,
    pub(super) ecr: aws_sdk_ecr::Client,
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) secrets: aws_sdk_secretsmanager::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) gate: Gate,
    /// IAM is one for all Regions of an account, and so is its gate (aws-facts K.16).
    pub(super) iam_gate: Arc<Gate>,
    clock: Clock,
    date: AwsDate,
    /// When GetCallerIdentity last named the right account, and for which generation of the credentials.
    identified: Mutex<Option<(Duration, u64)>>,
}

/// A session whose credentials were shown to be of the registry's account.
#[derive(Clone, Debug)]
pub struct Proven {
    pub(super) session: Arc<Session>,
}

impl Sessions {
    pub fn new(base: SdkConfig, clock: Clock, rates: Rates, leadership: Leadership, metrics: AwsMetrics) -> Self {
        let (roles, by_registry, iam_gates) = Default::default();
        Self { base, clock, rates, leadership, metrics, roles, by_registry, iam_gates }
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
        let Role { provider, credentials } = self.role(key, identity).await;
        let date = AwsDate::new(self.clock);
        let guard = Guard::new(key, self.leadership.clone(), self.metrics.clone(), date.clone());
        let partition = |service: &str| RetryPartition::custom(format!("{service}-{key}")).build();
        let mut config = self.region(key).into_builder().identity_cache(credentials.clone());
        if let Some(provider) = provider {
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
            credentials,
            ecr: aws_sdk_ecr::Client::from_conf(ecr.build()),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            secrets: aws_sdk_secretsmanager::Client::from_conf(secrets.build()),
            iam: aws_sdk_iam::Client::from_conf(iam.build()),
            gate: Gate::new(self.clock, self.rates),
            iam_gate: self.iam_gate(&key.account),
            clock: self.clock,
            date,
            identified: Mutex::default(),
        }
    }

    fn iam_gate(&self, account: &AccountId) -> Arc<Gate> {
        let mut gates = self.iam_gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(account.clone()).or_insert_with(|| Arc::new(Gate::new(self.clock, self.rates)));
        Arc::clone(gate)
    }

    /// One provider and one cache a role and Region: the SDK's cache forgets arbitrary ones when it holds many.
    async fn role(&self, key: &RegistryKey, identity: Option<&Identity>) -> Role {
        let place = (identity.cloned(), key.region.to_string());
        let known = self.roles.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        if let Some(role) = known {
            return role;
        }
        let provider = match identity {
            None => None,
            Some(identity) => Some(SharedCredentialsProvider::new(self.assume(key, identity).await)),
        };
        let made = Role { provider, credentials: Credentials::new(self.clock) };
        self.roles.lock().unwrap_or_else(PoisonError::into_inner).entry(place).or_insert(made).clone()
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
    /// The clients, once STS has said that they are of the registry's account. Credentials that AWS did not take are let
    /// go of here, between two passes: within one, all calls are made with what was proven.
    pub async fn prove(self: &Arc<Self>) -> Result<Proven, Because> {
        self.renew_credentials();
        let mut identified = self.identify().await;
        if identified.is_err() && self.renew_credentials() {
            identified = self.identify().await;
        }
        identified.map(|()| Proven { session: Arc::clone(self) })
    }

    fn renew_credentials(&self) -> bool {
        let renewed = self.credentials.renew_if_refused();
        if renewed {
            tracing::debug!(registry = %self.key, "the credentials were refused or denied everything, obtaining others");
        }
        renewed
    }

    /// Asks STS whose the credentials are, unless it has said so lately.
    async fn identify(&self) -> Result<(), Because> {
        let (now, generation) = (self.clock.now(), self.credentials.generation());
        let identified = *self.identified.lock().unwrap_or_else(PoisonError::into_inner);
        if identified.is_some_and(|(at, of)| of == generation && now.saturating_sub(at) <= IDENTITY_BELIEVED) {
            return Ok(());
        }
        let identity = self.sts.get_caller_identity().send().await.map_err(|e| self.unidentified(&e))?;
        let account = identity.account().unwrap_or_default();
        if !self.is_account(account) {
            // Nothing else is asked with them, and they are good: they are somebody else's.
            self.credentials.accepted();
            return Err(self.mismatch(account));
        }
        *self.identified.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, generation));
        Ok(())
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
        self.of_another_account(account)
    }

    /// The date by AWS's clock.
    pub fn timestamp(&self) -> Timestamp {
        self.date.timestamp()
    }

    /// Whether a document write would go out at once.
    pub fn may_write_now(&self, lane: Lane) -> bool {
        self.gate.document_is_free(lane)
    }
}
