//! The connections of a process: the client of the cluster and the base of every AWS session. Nothing is called here;
//! who is out of reach at the start is waited for by whoever needs them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::kube::client::{Body, ClientBuilder};
use ::kube::config::{KubeConfigOptions, Kubeconfig};
use ::kube::{Client, Config};
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use http::Request;
use tower::{BoxError, Layer, Service};

use super::Cluster;
use crate::runtime::clock::Clock;

/// A call that is no watch is answered within this time, its retries included.
const ANSWER: Duration = Duration::from_secs(30);
/// A connection on which nothing arrives for this long is dead. Longer than a quiet watch is silent: the API server ends
/// each after 290 s, and the watcher gives it 5 s more.
const SILENCE: Duration = Duration::from_secs(330);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no cluster: {0}")]
    Kubeconfig(#[from] ::kube::config::KubeconfigError),
    #[error("no cluster: {0}")]
    Inference(#[from] ::kube::config::InferConfigError),
    #[error("no client for the cluster: {0}")]
    Client(#[from] ::kube::Error),
}

/// The client of the cluster that the arguments name.
pub async fn cluster(cluster: &Cluster) -> Result<Client, Error> {
    let options = KubeConfigOptions { context: cluster.context.clone(), ..KubeConfigOptions::default() };
    let mut config = match (&cluster.kubeconfig, &cluster.context) {
        (Some(file), _) => Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await?,
        (None, Some(_)) => Config::from_kubeconfig(&options).await?,
        (None, None) => Config::infer().await?,
    };
    config.read_timeout = Some(SILENCE);
    // Else the time a connection was idle in the pool counts as silence of the next call.
    config.reset_reader_on_write = true;
    Ok(ClientBuilder::try_from(config)?.with_layer(&Answered).build())
}

/// The base of every AWS session: the environment's credentials and endpoints, one HTTP client for all, one clock.
pub async fn aws(clock: Clock) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    loader(clock, &http).credentials_provider(OwnCredentials { clock, http: http.clone() }).load().await
}

fn loader(clock: Clock, http: &SharedHttpClient) -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http.clone())
        .time_source(clock)
        .sleep_impl(TokioSleep::new())
        .region(own_region())
}

/// The pod's own credentials, looked for anew whenever they are asked for: the SDK's chain reads a credentials file once in
/// its life, and would go on with a key that was replaced in it.
#[derive(Debug)]
struct OwnCredentials {
    clock: Clock,
    http: SharedHttpClient,
}

impl ProvideCredentials for OwnCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let config = loader(self.clock, &self.http).load().await;
            match config.credentials_provider() {
                Some(found) => found.provide_credentials().await,
                None => Err(CredentialsError::not_loaded_no_source()),
            }
        })
    }
}

/// The Region of the pod's own credentials (web identity asks STS there); each session has its own. The instance's
/// metadata are not asked: where there are none, that alone takes seconds.
fn own_region() -> RegionProviderChain {
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(Region::from_static("us-east-1"))
}

/// Bounds the time until a call is answered. Since watches are to last, the client as a whole has no such bound, and a
/// pass would hang for as long as a connection looks alive.
struct Answered;

#[derive(Debug)]
struct AnsweredService<S>(S);

impl<S> Layer<S> for Answered {
    type Service = AnsweredService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AnsweredService(inner)
    }
}

impl<S> Service<Request<Body>> for AnsweredService<S>
where
    S: Service<Request<Body>, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_watch = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        let answer = self.0.call(request);
        if is_watch {
            return Box::pin(answer);
        }
        Box::pin(async move { tokio::time::timeout(ANSWER, answer).await? })
    }
}

#[cfg(test)]
mod tests {
    use ::kube::Api;
    use ::kube::api::{ListParams, WatchParams};
    use http::Response;
    use k8s_openapi::api::core::v1::Namespace;

    use super::*;

    /// An API server that takes calls and never answers.
    fn silent() -> Api<Namespace> {
        let server = tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, BoxError>>());
        Api::all(ClientBuilder::new(server, "default").with_layer(&Answered).build())
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_nobody_answers_ends() {
        let start = tokio::time::Instant::now();
        let (namespaces, params) = (silent(), ListParams::default());
        let answer = tokio::time::timeout(ANSWER * 10, namespaces.list(&params)).await;
        let error = answer.unwrap().unwrap_err();
        assert!(matches!(error, ::kube::Error::Service(_)), "{error}");
        assert_eq!(start.elapsed().as_secs(), ANSWER.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_may_be_silent() {
        let namespaces = silent();
        let params = WatchParams::default();
        let watch = namespaces.watch(&params, "0");
        assert!(tokio::time::timeout(ANSWER * 10, watch).await.is_err());
    }
}
