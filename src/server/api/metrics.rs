//! Numbers for a monitor, in Prometheus' text: how many requests of which kind, how long they took, and
//! what the server holds. Notary's name where it counts the same.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::server::freshness::FreshnessHealth;

/// What is counted.
pub struct ServerMetrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<OperationLabels, Histogram, fn() -> Histogram>,
    connections: Gauge,
    connections_refused: Family<ReasonLabels, Counter>,
    behind: Gauge<u64, AtomicU64>,
    renewed: Gauge<u64, AtomicU64>,
    pruned: Gauge<u64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    method: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

impl ServerMetrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            connections: Gauge::default(),
            connections_refused: Family::default(),
            behind: Gauge::default(),
            renewed: Gauge::default(),
            pruned: Gauge::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        let (requests, durations) = (self.requests.clone(), self.durations.clone());
        registry.register("notary_server_http_requests", "Requests that were answered", requests);
        registry.register_with_unit(
            "notary_server_http_request_duration",
            "How long requests took",
            Unit::Seconds,
            durations,
        );
        let connections = self.connections.clone();
        registry.register("trustgate_server_connections", "Connections that are open", connections);
        let refused = self.connections_refused.clone();
        registry.register(
            "trustgate_server_connections_refused",
            "Connections that were closed before a request",
            refused,
        );
        for (name, help, gauge) in [
            (
                "trustgate_server_repositories_behind",
                "Repositories that could not be signed anew",
                &self.behind,
            ),
            ("trustgate_server_renewals", "Files signed anew since the start", &self.renewed),
            ("trustgate_server_pruned_files", "Replaced files forgotten since the start", &self.pruned),
        ] {
            registry.register(name, help, gauge.clone());
        }
        self
    }

    pub(super) fn answered(
        &self,
        operation: &'static str,
        method: &Method,
        status: StatusCode,
        took: Duration,
    ) {
        // Whoever asks must not be able to make up labels.
        let method = match method.as_str() {
            "GET" => "get",
            "HEAD" => "head",
            "POST" => "post",
            "DELETE" => "delete",
            _ => "other",
        };
        self.requests.get_or_create(&RequestLabels { operation, method, code: status.as_u16() }).inc();
        self.durations.get_or_create(&OperationLabels { operation }).observe(took.as_secs_f64());
    }

    /// A connection was opened.
    pub(crate) fn connected(&self) {
        self.connections.inc();
    }

    /// A connection has ended.
    pub(crate) fn disconnected(&self) {
        self.connections.dec();
    }

    /// How many connections there are.
    #[cfg(test)]
    pub(crate) fn open(&self) -> i64 {
        self.connections.get()
    }

    /// A connection did not come about.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.connections_refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Everything, as a monitor reads it.
    pub(super) fn text(&self, freshness: &FreshnessHealth) -> String {
        self.behind.set(freshness.behind);
        self.renewed.set(freshness.renewed);
        self.pruned.set(freshness.pruned);
        let mut text = String::new();
        // Writing to a string cannot go wrong.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Default for ServerMetrics {
    fn default() -> Self {
        Self::new()
    }
}

/// What a monitor is told the text is.
pub(super) const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// In seconds: from a read of a small file to an upload over a slow line.
const BUCKETS: [f64; 10] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0];
