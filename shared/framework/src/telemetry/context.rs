//! Which trace something belongs to: W3C's `traceparent` and `tracestate`, in headers and in the custom metadata of objects.

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::OnceLock};
use trackdrop_pipeline::RequestId;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
/// Our member of `tracestate`: the span outside of the request, where the request is a part of somebody's larger trace.
const OUTSIDE: &str = "trackdrop";

/// A trace and a span of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) is_sampled: bool,
    /// The span that the whole request lies below.
    pub(crate) outside: Option<SpanId>,
}

impl TraceContext {
    /// From whatever holds `traceparent` and `tracestate`.
    pub(crate) fn from<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let mut context = Self::parse(get(TRACEPARENT)?)?;
        let members = get(TRACESTATE).into_iter().flat_map(|state| state.split(','));
        let ours = members.filter_map(|member| member.trim().split_once('=')).find(|(key, _)| *key == OUTSIDE);
        context.outside = ours.and_then(|(_, span)| SpanId::from_hex(span).ok()).filter(|id| *id != SpanId::INVALID);
        Some(context)
    }

    /// From `00-<32 hex>-<16 hex>-<2 hex>`; later versions may add parts. None for anything else.
    fn parse(text: &str) -> Option<Self> {
        let hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_good = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
        if !is_good || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let (trace_id, span_id) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        let is_sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
        let is_valid = trace_id != TraceId::INVALID && span_id != SpanId::INVALID;
        is_valid.then_some(Self { trace_id, span_id, is_sampled, outside: None })
    }

    pub(crate) fn span_context(&self) -> SpanContext {
        span_context(self.trace_id, self.span_id, self.is_sampled, self.outside)
    }
}

fn span_context(trace_id: TraceId, span_id: SpanId, is_sampled: bool, outside: Option<SpanId>) -> SpanContext {
    let flags = TraceFlags::default().with_sampled(is_sampled);
    // Key and value are of the allowed characters.
    let state = outside.and_then(|span| TraceState::from_key_value([(OUTSIDE, span.to_string())]).ok());
    SpanContext::new(trace_id, span_id, flags, true, state.unwrap_or_default())
}

/// Writes a span's context into the custom metadata of what that span makes.
pub(crate) fn inject(context: &SpanContext, metadata: &mut BTreeMap<String, String>) {
    if !context.is_valid() {
        return;
    }
    let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags().to_u8());
    metadata.insert(TRACEPARENT.to_owned(), format!("00-{trace}-{span}-{flags:02x}"));
    let state = context.trace_state().header();
    if !state.is_empty() {
        metadata.insert(TRACESTATE.to_owned(), state);
    }
}

/// The place of a request in its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestTrace {
    pub(crate) trace_id: TraceId,
    /// The request's outermost span.
    pub(crate) span_id: SpanId,
    is_sampled: bool,
    pub(crate) outside: Option<SpanId>,
}

impl RequestTrace {
    /// From the context that an object of the request carries; an upload's is the uploader's own.
    pub(crate) fn of(request: &RequestId, is_upload: bool, from: Option<&TraceContext>) -> Self {
        let digest = Sha256::digest(format!("trace of {request}"));
        let mut ids = [0; 24];
        ids.copy_from_slice(&digest[..24]);
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&ids[..16]);
        span.copy_from_slice(&ids[16..]);
        let trace_id = from.map_or(TraceId::from_bytes(trace), |from| from.trace_id);
        Self {
            trace_id,
            span_id: SpanId::from_bytes(span),
            is_sampled: from.map_or_else(|| is_sampled_at_its_root(trace_id), |from| from.is_sampled),
            outside: from.and_then(|from| if is_upload { Some(from.span_id) } else { from.outside }),
        }
    }

    /// The span that everything of the request lies below.
    pub(crate) fn outermost(&self) -> SpanContext {
        span_context(self.trace_id, self.span_id, self.is_sampled, self.outside)
    }
}

/// The sampler's decision about a trace that begins here. The request's outermost span is created last. But all spans
/// below it must be exported if, and only if, that one will be.
fn is_sampled_at_its_root(trace: TraceId) -> bool {
    static SAMPLER: OnceLock<Sampler> = OnceLock::new();
    let variable = |name| std::env::var(name).ok();
    let sampler = SAMPLER.get_or_init(|| {
        root_sampler(variable("OTEL_TRACES_SAMPLER").as_deref(), variable("OTEL_TRACES_SAMPLER_ARG").as_deref())
    });
    samples(sampler, trace)
}

fn samples(sampler: &Sampler, trace: TraceId) -> bool {
    sampler.should_sample(None, trace, "request", &SpanKind::Internal, &[], &[]).decision
        == SamplingDecision::RecordAndSample
}

/// The sampler of spans without a parent, by the variables of the OpenTelemetry specification; as the SDK reads them.
fn root_sampler(name: Option<&str>, argument: Option<&str>) -> Sampler {
    match name.map(|name| name.strip_prefix("parentbased_").unwrap_or(name)) {
        Some("always_off") => Sampler::AlwaysOff,
        Some("traceidratio") => {
            let ratio = argument.and_then(|text| text.parse().ok()).filter(|ratio| (0.0..=1.0).contains(ratio));
            Sampler::TraceIdRatioBased(ratio.unwrap_or(1.0))
        }
        _ => Sampler::AlwaysOn,
    }
}

/// The span outside of the request, by the context of one of the request's spans.
pub(super) fn outside_of(context: &SpanContext) -> Option<SpanId> {
    SpanId::from_hex(context.trace_state().get(OUTSIDE)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_anything_else_is_none() {
        let context = TraceContext::parse(GOOD).unwrap();
        assert_eq!(context.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(context.is_sampled);
        assert!(TraceContext::parse(&GOOD.replacen("00", "cc", 1)).is_some(), "a later version");
        assert!(TraceContext::parse(&format!("cc{}-more", &GOOD[2..])).is_some());
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_lies_below_a_request_is_sampled_as_the_request_itself_will_be() {
        // The samplers that the SDK makes from the variables, for a span without a parent. The SDK's constructor reads
        // the environment, which tests can't set.
        let of_the_sdk = |root| Sampler::ParentBased(Box::new(root));
        for (name, argument, sdk) in [
            (None, None, of_the_sdk(Sampler::AlwaysOn)),
            (Some("parentbased_always_off"), None, of_the_sdk(Sampler::AlwaysOff)),
            (Some("parentbased_traceidratio"), Some("0.25"), of_the_sdk(Sampler::TraceIdRatioBased(0.25))),
            (Some("traceidratio"), Some("0.25"), Sampler::TraceIdRatioBased(0.25)),
            (Some("traceidratio"), Some("a quarter"), Sampler::TraceIdRatioBased(1.0)),
        ] {
            let sampler = root_sampler(name, argument);
            let traces = (0..1_000u128)
                .map(|of| TraceId::from_bytes(Sha256::digest(of.to_be_bytes())[..16].try_into().unwrap()));
            let mut sampled = 0;
            for trace in traces {
                assert_eq!(samples(&sampler, trace), samples(&sdk, trace), "{name:?}");
                sampled += usize::from(samples(&sampler, trace));
            }
            let expected = match (name, argument) {
                (_, Some("0.25")) => 200..300,
                (Some("parentbased_always_off"), _) => 0..1,
                _ => 1_000..1_001,
            };
            assert!(expected.contains(&sampled), "{name:?}: {sampled}");
        }
    }

    #[test]
    fn all_objects_of_a_request_give_one_trace_which_continues_the_uploaders_trace() {
        let request: RequestId = "req_0aZ9bY8c_20261123T182501".parse().unwrap();
        let alone = RequestTrace::of(&request, true, None);
        assert_eq!(alone, RequestTrace::of(&request, false, None));
        // What a span below writes into an object's metadata, and what the next service reads there.
        let passed_on = |trace: &RequestTrace| {
            let mut metadata = BTreeMap::new();
            let (of, outside) = (trace.trace_id, trace.outside);
            inject(&span_context(of, SpanId::from_bytes([7; 8]), true, outside), &mut metadata);
            TraceContext::from(|key| metadata.get(key).map(String::as_str)).unwrap()
        };
        assert_eq!(RequestTrace::of(&request, false, Some(&passed_on(&alone))), alone);
        let uploader = TraceContext::parse(GOOD).unwrap();
        let inside = RequestTrace::of(&request, true, Some(&uploader));
        assert_eq!((inside.trace_id, inside.outside), (uploader.trace_id, Some(uploader.span_id)));
        assert_eq!(inside.span_id, alone.span_id);
        assert_eq!(RequestTrace::of(&request, false, Some(&passed_on(&inside))), inside);
    }
}
