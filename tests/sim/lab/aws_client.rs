//! The SDK's HTTP client over the simulator, in process: signing, retries and decoding are the real ones.

use std::sync::{Arc, Mutex};

use aws_sim::Connector;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

/// Changes the body of every answer to GetRegistryPolicy.
type Tampering = dyn Fn(String) -> String + Send;

/// What becomes of the answers on their way back: nothing, unless a scenario says so.
#[derive(Clone, Default)]
pub(super) struct Tamper(Arc<Mutex<Option<Box<Tampering>>>>);

impl Tamper {
    pub(super) fn with(&self, change: impl Fn(String) -> String + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(change));
    }

    fn changed(&self, body: Bytes) -> Bytes {
        match &*self.0.lock().unwrap() {
            Some(change) => change(String::from_utf8_lossy(&body).into_owned()).into(),
            None => body,
        }
    }
}

impl std::fmt::Debug for Tamper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tamper")
    }
}

#[derive(Clone, Debug)]
pub(super) struct SimHttp(pub(super) Connector, pub(super) Tamper);

impl HttpConnector for SimHttp {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (aws, tamper) = (self.0.clone(), self.1.clone());
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let request = request.map(|body| Bytes::copy_from_slice(body.bytes().unwrap_or_default()));
            let target = request.headers().get("x-amz-target").cloned();
            let mut response = aws.call(request).await.map_err(|error| ConnectorError::io(error.into()))?;
            if target.is_some_and(|target| target.as_bytes().ends_with(b".GetRegistryPolicy")) {
                response = response.map(|body| tamper.changed(body));
            }
            response
                .map(SdkBody::from)
                .try_into()
                .map_err(|error: aws_smithy_runtime_api::http::HttpError| ConnectorError::user(error.into()))
        })
    }
}

impl HttpClient for SimHttp {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
