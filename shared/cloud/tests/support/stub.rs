//! A server that plays an API of Google: it gives the answers that a test lined up, and keeps what it was asked.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use trackdrop_cloud::google::{Api, Retry};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    /// The body, or the first part of one in parts.
    pub fn json(&self) -> Value {
        let text = String::from_utf8(self.body.to_vec()).unwrap();
        let json = text.lines().find(|line| line.starts_with('{'));
        serde_json::from_str(json.unwrap_or_else(|| panic!("no JSON in {text:?}"))).unwrap()
    }
}

type Answer = (StatusCode, HeaderMap, String);

#[derive(Clone, Default)]
struct Exchanges {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// Runs until the test's runtime ends.
pub struct Stub {
    exchanges: Exchanges,
    host: String,
}

impl Stub {
    pub async fn start() -> Self {
        let exchanges = Exchanges::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(exchanges.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { exchanges, host }
    }

    /// Lines up an answer.
    pub fn will(&self, status: u16, body: impl ToString) -> &Self {
        self.will_with(status, &[], body)
    }

    /// Lines up an answer with headers.
    pub fn will_with(&self, status: u16, headers: &[(&'static str, &str)], body: impl ToString) -> &Self {
        let headers = headers.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let answer = (StatusCode::from_u16(status).unwrap(), headers, body.to_string());
        self.exchanges.answers.lock().unwrap().push_back(answer);
        self
    }

    /// What was asked since this was last called; every answer that was lined up must have been taken.
    pub fn asked(&self) -> Vec<Asked> {
        let left: Vec<_> = self.exchanges.answers.lock().unwrap().drain(..).collect();
        assert!(left.is_empty(), "answers that nobody asked for: {left:?}");
        std::mem::take(&mut self.exchanges.asked.lock().unwrap())
    }

    /// `host:port`.
    pub fn api_host(&self) -> &str {
        &self.host
    }

    /// Calls to it, with the product's attempts and next to no waiting between them.
    pub fn api(&self) -> Api {
        let retry = Retry::default().with_backoff(Duration::from_micros(10), Duration::from_micros(10));
        Api::new("", Some(&self.host)).unwrap().with_retry(retry)
    }
}

async fn answer(
    State(exchanges): State<Exchanges>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let what = format!("{method} {uri}");
    exchanges.asked.lock().unwrap().push(Asked { method, uri, headers, body });
    let answer = exchanges.answers.lock().unwrap().pop_front();
    // 418 is not a status that is retried, so an unexpected call is reported and not repeated forever.
    answer
        .unwrap_or_else(|| (StatusCode::IM_A_TEAPOT, HeaderMap::new(), format!("nobody expected {what}")))
        .into_response()
}
