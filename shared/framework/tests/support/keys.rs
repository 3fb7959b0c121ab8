//! Keys made here, tokens signed by them, and a server of their public halves.

use aws_lc_rs::{
    encoding::AsDer,
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use axum::{Router, http::StatusCode, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

/// What the tokens are for.
pub const AUDIENCE: &str = "https://track-abc.a.run.app";
/// Whose they are.
pub const EMAIL: &str = "push@acme.iam.gserviceaccount.com";

pub struct Key {
    pub id: &'static str,
    pair: KeyPair,
}

impl Key {
    pub fn new(id: &'static str) -> Self {
        Self { id, pair: KeyPair::generate(KeySize::Rsa2048).unwrap() }
    }

    pub fn public(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = self.pair.public_key();
        json!({ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.id,
            "n": encode(public.modulus().big_endian_without_leading_zero()),
            "e": encode(public.exponent().big_endian_without_leading_zero()) })
    }

    pub fn sign(&self, claims: &Value) -> String {
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&self.pair).unwrap();
        let header = Header { kid: Some(self.id.into()), ..Header::new(Algorithm::RS256) };
        let token = encode(&header, claims, &EncodingKey::from_rsa_der(pkcs1_of(der.as_ref()))).unwrap();
        format!("Bearer {token}")
    }
}

/// The PKCS#1 key inside a PKCS#8 one of 2,048 bits: what follows a header of fixed length.
fn pkcs1_of(pkcs8: &[u8]) -> &[u8] {
    &pkcs8[26..]
}

#[derive(Clone, Default)]
pub struct KeyServer {
    pub keys: Arc<Mutex<Vec<Value>>>,
    pub fetches: Arc<Mutex<u32>>,
    pub mood: Arc<Mutex<Mood>>,
}

#[derive(Clone, Copy, Default)]
pub enum Mood {
    #[default]
    Answers,
    Fails,
    /// Takes the call and never answers.
    Hangs,
}

impl KeyServer {
    pub async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/certs", listener.local_addr().unwrap());
        let server = self.clone();
        let answer = get(move || async move {
            *server.fetches.lock().unwrap() += 1;
            let (keys, mood) = (server.keys.lock().unwrap().clone(), *server.mood.lock().unwrap());
            match mood {
                Mood::Answers => Ok(json!({ "keys": keys }).to_string()),
                Mood::Fails => Err(StatusCode::INTERNAL_SERVER_ERROR),
                Mood::Hangs => std::future::pending().await,
            }
        });
        let router = Router::new().route("/certs", answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }
}

/// Those of a good token.
pub fn claims() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({ "iss": "https://accounts.google.com", "aud": AUDIENCE, "email": EMAIL, "email_verified": true,
        "sub": "1", "azp": "1", "iat": now, "exp": now + 3_600 })
}
