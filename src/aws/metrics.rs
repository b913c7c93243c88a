//! How many calls were made to AWS, by account and Region: bounded by the Registries there are.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    service: String,
    operation: String,
    account: String,
    region: String,
    code: String,
}

#[derive(Clone, Debug, Default)]
pub struct AwsMetrics {
    calls: Family<Call, Counter>,
}

impl AwsMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "ecr_permissions_aws_api_requests",
            "Calls to AWS by operation and outcome",
            self.calls.clone(),
        );
    }

    pub(super) fn called(&self, service: &str, operation: &str, account: &str, region: &str, code: &str) {
        let call = Call {
            service: service.to_owned(),
            operation: operation.to_owned(),
            account: account.to_owned(),
            region: region.to_owned(),
            code: code.to_owned(),
        };
        self.calls.get_or_create(&call).inc();
    }
}
