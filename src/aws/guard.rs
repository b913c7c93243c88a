//! Stands where a request leaves: refuses writes once this process does not lead, counts every call, and reads AWS's date.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use ecr_permissions_core::names::RegistryKey;

use super::date::AwsDate;
use super::metrics::AwsMetrics;
use super::session::NotLeading;
use crate::runtime::leader::Leadership;

#[derive(Clone, Debug)]
pub(super) struct Guard {
    account: String,
    region: String,
    leadership: Leadership,
    metrics: AwsMetrics,
    date: AwsDate,
}

impl Guard {
    pub(super) fn new(key: &RegistryKey, leadership: Leadership, metrics: AwsMetrics, date: AwsDate) -> Self {
        Self { account: key.account.to_string(), region: key.region.to_string(), leadership, metrics, date }
    }
}

/// Whether the operation only looks. What is not known to, writes.
fn is_read(operation: &str) -> bool {
    ["Get", "Describe", "List", "Validate", "AssumeRole"].iter().any(|verb| operation.starts_with(verb))
}

impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "Guard"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = bag.load::<Metadata>().map_or("", Metadata::name);
        if is_read(operation) || self.leadership.holds() { Ok(()) } else { Err(Box::new(NotLeading)) }
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().and_then(|response| response.headers().get("date")) {
            self.date.saw(date);
        }
        let Some(metadata) = bag.load::<Metadata>() else { return Ok(()) };
        let code = match (context.output_or_error(), context.response().map(|response| response.status().as_u16())) {
            (Some(Ok(_)), _) => "ok".to_owned(),
            (_, Some(status)) => status.to_string(),
            (_, None) => "unanswered".to_owned(),
        };
        self.metrics.called(metadata.service(), metadata.name(), &self.account, &self.region, &code);
        Ok(())
    }
}
