//! Log lines, as text for people or JSON for machines. What libraries say is shown only where it is a warning: their
//! finer words hold request ids and headers, which belong into no log.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// The filter behind `--log-level`: a level for the operator's own lines, or directives as `tracing` knows them.
pub fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    if level.contains(['=', ',']) {
        return EnvFilter::try_new(level);
    }
    // The clients' own lines about a failed call are left out (AWS's hold request ids): whoever made the call says it, once.
    EnvFilter::try_new(format!(
        "warn,kube_client::client::builder=off,aws_config=off,ecr_permissions={level},ecr_permissions_core={level}"
    ))
}

/// Installs the logging of the process. Lines go to standard error. The first to be called wins.
pub fn install(format: LogFormat, filter: EnvFilter) {
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
    // A test that set up its own logging keeps it.
    drop(installed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_for_the_operator_and_not_for_its_libraries() {
        let filter = filter("debug").unwrap().to_string();
        assert!(filter.contains("ecr_permissions=debug"), "{filter}");
        assert!(filter.contains("warn"), "{filter}");
    }

    #[test]
    fn directives_are_taken_as_they_are() {
        assert_eq!(filter("kube_client=trace").unwrap().to_string(), "kube_client=trace");
        assert!(filter("ecr_permissions=loud").is_err());
        assert!(filter("loud").is_err());
    }
}
