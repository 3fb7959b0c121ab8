//! The console as a service, behind Identity-Aware Proxy.

use async_trait::async_trait;
use axum::http::HeaderMap;
use std::{error::Error, process::ExitCode, sync::Arc};
use trackdrop_cloud::google::SettingsError;
use trackdrop_console::{Billed, Console, Guard, Sessions, TurnedAway, serve};
use trackdrop_framework::{
    PagesEnvironment,
    iap::{HEADER, IapVerifier, Members, NotAdmitted},
    serve_pages,
    setting::{self, Setting, Values},
};
use trackdrop_media::Limits;
use trackdrop_pipeline::OfferedModels;

/// Bytes that a statement may be billed for unless it is set: less than a dollar.
const MAX_BYTES_BILLED: u64 = 100_000_000_000;
/// BigQuery's price of a TiB in many regions.
const USD_PER_TIB: f64 = 6.25;

fn main() -> ExitCode {
    serve_pages("console", run)
}

async fn run(environment: PagesEnvironment) -> Result<(), Box<dyn Error>> {
    let PagesEnvironment { cloud, questions, uploads, values, listener, stop } = environment;
    let billed = Billed {
        questions,
        most_bytes: values.get(&setting::CONSOLE_MAX_BYTES_BILLED)?.unwrap_or(MAX_BYTES_BILLED),
        usd_per_tib: values.get(&setting::CONSOLE_USD_PER_TIB)?.unwrap_or(USD_PER_TIB),
    };
    let models = OfferedModels::of_text(&values.get(&setting::MODELS)?.unwrap_or_default())?;
    let limits: Limits = values.parsed(&setting::LIMITS)?.unwrap_or_default();
    let sessions = Sessions { uploads, models };
    let console = Console::in_cloud(cloud, billed, sessions, limits, Arc::new(Proxy::from_values(&values)?))?;
    Ok(serve(listener, console, stop).await?)
}

/// Identity-Aware Proxy in front of the service.
#[derive(Debug)]
struct Proxy {
    hosts: Vec<String>,
    verifier: IapVerifier,
}

impl Proxy {
    fn from_values(values: &Values) -> Result<Self, Box<dyn Error>> {
        let needed = |setting: &'static Setting<String>| -> Result<String, SettingsError> {
            values.get(setting)?.ok_or(SettingsError::Missing(setting.about.name))
        };
        let members: Members = needed(&setting::CONSOLE_MEMBERS)?.parse()?;
        let mut verifier = IapVerifier::new(needed(&setting::IAP_AUDIENCE)?, members);
        if let Some(url) = values.get(&setting::IAP_KEYS_URL)? {
            verifier = verifier.with_keys_url(url);
        }
        let hosts = needed(&setting::CONSOLE_HOSTS)?.split(',').map(|host| host.trim().to_owned()).collect();
        Ok(Self { hosts, verifier })
    }
}

#[async_trait]
impl Guard for Proxy {
    fn hosts(&self) -> &[String] {
        &self.hosts
    }

    async fn admit(&self, headers: &HeaderMap) -> Result<(), TurnedAway> {
        let header = headers.get(HEADER).and_then(|value| value.to_str().ok());
        match self.verifier.verify(header).await {
            Ok(_) => Ok(()),
            Err(error @ NotAdmitted::Header(_)) => Err(TurnedAway::Unknown(error.to_string())),
            Err(error @ NotAdmitted::Person(_)) => Err(TurnedAway::Forbidden(error.to_string())),
            Err(error @ NotAdmitted::Keys(_)) => Err(TurnedAway::Later(error.to_string())),
        }
    }
}
