//! A trace as it arrived, and what must hold of it.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{NumberDataPoint, number_data_point},
    trace::v1::{Span as ProtoSpan, status::StatusCode},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// A span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The trace that it belongs to, in hex.
    pub trace_id: String,
    /// Its own id, in hex.
    pub span_id: String,
    /// Its parent's id, in hex; none for an outermost one.
    pub parent: Option<String>,
    /// The spans that it names as its causes, in hex.
    pub links: Vec<String>,
    /// What it is called.
    pub name: String,
    /// The service that it comes from.
    pub service: String,
    /// Nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub end_ns: u64,
    /// Whether it is marked as failed.
    pub failed: bool,
    /// Attributes, as text.
    pub attributes: BTreeMap<String, String>,
}

impl Span {
    pub(crate) fn of(span: ProtoSpan, service: &str) -> Self {
        Self {
            trace_id: hex(&span.trace_id),
            span_id: hex(&span.span_id),
            parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
            links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
            name: span.name,
            service: service.to_owned(),
            start_ns: span.start_time_unix_nano,
            end_ns: span.end_time_unix_nano,
            failed: span.status.is_some_and(|status| status.code == StatusCode::Error as i32),
            attributes: attributes(span.attributes),
        }
    }

    /// An attribute that is a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.attributes.get(name)?.parse().ok()
    }
}

/// All spans of a trace that arrived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// In the order in which they arrived.
    pub spans: Vec<Span>,
}

impl Trace {
    /// The spans of this name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Span> {
        self.spans.iter().filter(move |span| span.name == name)
    }

    /// The spans directly below this one.
    pub fn children<'a>(&'a self, parent: &'a Span) -> impl Iterator<Item = &'a Span> {
        self.spans.iter().filter(|span| span.parent.as_ref() == Some(&parent.span_id))
    }

    /// Exactly one span has no parent here, every other one's parent arrived, no span arrived twice, none ends before it starts, and
    /// each leads to the outermost one.
    ///
    /// # Errors
    /// What does not hold, with the whole tree.
    pub fn check_one_tree(&self) -> Result<&Span, String> {
        let ids: BTreeSet<_> = self.spans.iter().map(|span| &span.span_id).collect();
        let mut wrong = Vec::new();
        if ids.len() != self.spans.len() {
            wrong.push(format!("{} spans arrived twice", self.spans.len() - ids.len()));
        }
        let roots: Vec<_> = self.spans.iter().filter(|span| span.parent.is_none()).collect();
        if roots.len() != 1 {
            wrong.push(format!("{} spans have no parent", roots.len()));
        }
        for span in &self.spans {
            if let Some(parent) = span.parent.as_ref().filter(|parent| !ids.contains(parent)) {
                wrong.push(format!("{} ({}): its parent {parent} did not arrive", span.name, span.span_id));
            }
            if span.end_ns < span.start_ns {
                wrong.push(format!("{} ({}) ends before it starts", span.name, span.span_id));
            }
        }
        let (mut reached, mut next) = (BTreeSet::new(), roots.clone());
        while let Some(span) = next.pop() {
            if reached.insert(&span.span_id) {
                next.extend(self.children(span));
            }
        }
        if reached.len() != ids.len() {
            wrong.push(format!("{} spans are not below the outermost one", ids.len() - reached.len()));
        }
        match &roots[..] {
            [root] if wrong.is_empty() => Ok(root),
            _ => Err(format!("{}\n{}", wrong.join("\n"), self.drawn())),
        }
    }

    /// The trees, for people.
    pub fn drawn(&self) -> String {
        let ids: BTreeSet<_> = self.spans.iter().map(|span| &span.span_id).collect();
        let is_top = |span: &&Span| span.parent.as_ref().is_none_or(|parent| !ids.contains(parent));
        let mut text = String::new();
        for top in self.spans.iter().filter(is_top) {
            self.draw(top, 0, &mut text);
        }
        text
    }

    fn draw(&self, span: &Span, depth: usize, text: &mut String) {
        let ms = span.end_ns.saturating_sub(span.start_ns) as f64 / 1e6;
        // Writing into a string can't fail.
        writeln!(text, "{:indent$}{} {ms:.1} ms {:?}", "", span.name, span.attributes, indent = depth * 2).ok();
        // A span that is its own ancestor ends here.
        if depth < 20 {
            let mut children: Vec<_> = self.children(span).collect();
            children.sort_by_key(|child| child.start_ns);
            children.into_iter().for_each(|child| self.draw(child, depth + 1, text));
        }
    }
}

pub(crate) fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, String> {
    all.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

pub(crate) fn number(point: &NumberDataPoint) -> f64 {
    match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        None => 0.0,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>) -> Span {
        Span {
            trace_id: "t".into(),
            span_id: id.into(),
            parent: parent.map(str::to_owned),
            links: vec![],
            name: format!("span {id}"),
            service: String::new(),
            start_ns: 1,
            end_ns: 2,
            failed: false,
            attributes: BTreeMap::new(),
        }
    }

    #[test]
    fn one_tree_passes_and_every_kind_of_gap_is_named() {
        let check = |spans: Vec<Span>| Trace { spans }.check_one_tree().map(|root| root.span_id.clone());
        let tree = vec![span("a", None), span("b", Some("a")), span("c", Some("b"))];
        assert_eq!(check(tree.clone()), Ok("a".into()));
        let told = |spans| check(spans).unwrap_err();
        assert!(told(tree[1..].to_vec()).contains("its parent a did not arrive"));
        assert!(told(vec![span("a", None), span("b", None)]).contains("2 spans have no parent"));
        assert!(told([tree.clone(), vec![span("b", Some("a"))]].concat()).contains("1 spans arrived twice"));
        let circle = vec![span("a", None), span("b", Some("c")), span("c", Some("b"))];
        assert!(told(circle).contains("2 spans are not below the outermost one"));
        assert!(told(vec![]).contains("0 spans have no parent"));
    }
}
