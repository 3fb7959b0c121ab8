//! Export by OTLP over HTTP with protobuf, through the HTTP client that the service has anyway.

use super::{Export, TelemetrySettings, request_span::Ids, span_buffer::SpanBuffer};
use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};
use std::time::Duration;
use tokio::runtime::Handle;
use trackdrop_cloud::google::Identity;

/// Spans that may wait to be exported. Memory for all of them is allocated at the start, about 360 bytes each: 65,536
/// took 24 MB.
const QUEUE: usize = 1 << 12;
const QUEUE_VARIABLE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// The attribute by which the Telemetry API knows to which project spans belong; it refuses spans without.
const PROJECT: &str = "gcp.project_id";

/// What makes spans and metrics and exports them.
#[derive(Debug)]
pub(super) struct Providers {
    pub(super) traces: SdkTracerProvider,
    /// None where nobody takes metrics.
    pub(super) meters: Option<SdkMeterProvider>,
}

pub(super) fn providers(
    to: &Export,
    settings: &TelemetrySettings,
    runtime: &Handle,
) -> Result<Providers, Box<dyn std::error::Error>> {
    let (Export::Collector(endpoint) | Export::Google(endpoint)) = to;
    let endpoint = endpoint.trim_end_matches('/');
    reqwest::Url::parse(endpoint)?;
    let http = reqwest::Client::builder().timeout(CALL_WITHIN).build()?;
    let mut resource = Resource::builder().with_service_name(settings.service.clone());
    let identity = match to {
        Export::Collector(_) => None,
        Export::Google(_) => {
            let project = settings.project.clone().unwrap_or_default();
            resource = resource.with_attribute(KeyValue::new(PROJECT, project));
            // Tokens are renewed on the runtime.
            let _on_runtime = runtime.enter();
            Some(Identity::default_account()?)
        }
    };
    let (is_google, resource) = (identity.is_some(), resource.build());
    let client = OnRuntime { http, identity, runtime: runtime.clone() };
    let spans = SpanExporter::builder()
        .with_http()
        .with_http_client(client.clone())
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .build()?;
    let queue = queue_of(std::env::var(QUEUE_VARIABLE).ok().as_deref());
    let batches = BatchConfigBuilder::default().with_max_queue_size(queue);
    let batches = BatchSpanProcessor::builder(spans).with_batch_config(batches.build()).build();
    let traces = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_id_generator(Ids::default())
        .with_span_processor(SpanBuffer::new(batches, at_once_of(queue)))
        .build();
    if is_google {
        return Ok(Providers { traces, meters: None });
    }
    let metrics = MetricExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(format!("{endpoint}/v1/metrics"))
        .build()?;
    let reader = PeriodicReader::builder(metrics).build();
    let meters = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
    Ok(Providers { traces, meters: Some(meters) })
}

/// The length of the queue that the variable asks for.
fn queue_of(variable: Option<&str>) -> usize {
    variable.and_then(|text| text.trim().parse().ok()).filter(|queue| *queue > 0).unwrap_or(QUEUE)
}

/// Spans of one delivery that go into the queue together; the rest of it is for the deliveries beside.
fn at_once_of(queue: usize) -> usize {
    (queue / 2).max(1)
}

/// The SDK exports from threads of its own, where no runtime is; the calls are made on the service's.
#[derive(Clone, Debug)]
struct OnRuntime {
    http: reqwest::Client,
    /// Whose call it is, where that is asked.
    identity: Option<Identity>,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, mut request) = (self.http.clone(), reqwest::Request::try_from(request)?);
        let identity = self.identity.clone();
        let call = self.runtime.spawn(async move {
            if let Some(identity) = identity {
                request.headers_mut().extend(identity.headers().await?);
            }
            let answer = http.execute(request).await?;
            let mut response = Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                *headers = answer.headers().clone();
            }
            Ok::<_, HttpError>(response.body(answer.bytes().await?)?)
        });
        call.await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_into_the_queue_at_once_fits_into_the_queue_that_the_variable_asks_for() {
        for (variable, queue, at_once) in [
            (None, 4_096, 2_048),
            (Some("100"), 100, 50),
            (Some("1"), 1, 1),
            (Some("0"), 4_096, 2_048),
            (Some("many"), 4_096, 2_048),
        ] {
            assert_eq!((queue_of(variable), at_once_of(queue_of(variable))), (queue, at_once), "{variable:?}");
        }
    }
}
