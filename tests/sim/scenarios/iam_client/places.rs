//! Where IAM is: one endpoint a partition, whatever the Region of the registry (aws-facts F).

use std::sync::Mutex;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use super::*;

/// Notes the host of each request, and the Region it is signed for.
#[derive(Clone, Debug)]
struct Noting {
    inner: SharedHttpClient,
    noted: Arc<Mutex<Vec<(String, String)>>>,
}

#[derive(Debug)]
struct NotingConnector {
    inner: SharedHttpConnector,
    noted: Arc<Mutex<Vec<(String, String)>>>,
}

impl HttpClient for Noting {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, parts);
        SharedHttpConnector::new(NotingConnector { inner, noted: Arc::clone(&self.noted) })
    }
}

impl HttpConnector for NotingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let host = request.uri().split('/').nth(2).unwrap().to_owned();
        let scope = request.headers().get("authorization").unwrap().split('/').nth(2).unwrap().to_owned();
        self.noted.lock().unwrap().push((host, scope));
        self.inner.call(request)
    }
}

/// The account as which there is no role to work, in a partition of its own.
const C: &str = "888888888888";

#[test]
fn each_partition_has_one_endpoint() {
    for (region, partition, host, scope) in [
        ("us-west-2", "aws", "iam.amazonaws.com", "us-east-1"),
        ("cn-northwest-1", "aws-cn", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("us-gov-east-1", "aws-us-gov", "iam.us-gov.amazonaws.com", "us-gov-west-1"),
    ] {
        run(1, async |lab| {
            alone(lab);
            let in_partition = |world: &mut World| {
                world.add_account(C);
                world.set_partition(C, partition);
                world.access_key(C, "role/own")
            };
            let (id, secret) = lab.aws.world(in_partition);
            let key = SharedCredentialsProvider::new(Credentials::new(id, secret, None, None, "lab"));
            let noted = Arc::default();
            let http = Noting { inner: lab.sdk().http_client().unwrap(), noted: Arc::clone(&noted) };
            let sdk = lab.sdk().into_builder().credentials_provider(key).http_client(http).build();
            let spec = json!({"accountId": C, "region": region});
            let iam = Clients::new(lab, sdk).with(C, region, serde_json::from_value(spec).unwrap()).await;
            noted.lock().unwrap().clear();
            let role = iam.role("own").await.unwrap();
            assert_eq!(role.arn, format!("arn:{partition}:iam::{C}:role/own"));
            let noted = noted.lock().unwrap();
            assert_eq!(noted.len(), 4);
            assert!(noted.iter().all(|place| *place == (host.to_owned(), scope.to_owned())), "{noted:?}");
        });
    }
}
