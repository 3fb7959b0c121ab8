//! The whole `main` of a service.

use crate::{
    Service, ServiceSettings,
    arguments::{self, Start},
    oidc::Verifier,
    setting::Values,
    telemetry::{Telemetry, TelemetrySettings, traced},
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    process::ExitCode,
    sync::Arc,
    time::Instant,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use trackdrop_cloud::Storage;
use trackdrop_flow::Cloud;
use trackdrop_pipeline::{
    Bucket, Failure, Handler,
    names::ObjectName,
    trigger::{Trigger, of_uploads},
};

/// The parts that a function is built from.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Storage, publisher and warehouse of Google Cloud, or of its emulators.
    pub cloud: Cloud,
    /// How the service runs.
    pub settings: ServiceSettings,
    /// The settings that only this function reads ([`crate::setting`]).
    pub values: Values,
}

impl Environment {
    /// The trigger of uploads, which says which names are not a video's, with the list of this environment.
    ///
    /// # Errors
    /// Permanent: a pattern is invalid.
    pub fn uploads(&self) -> Result<Trigger, Failure> {
        of_uploads(self.settings.ignore.as_deref()).map_err(Failure::permanent_from)
    }

    /// The threads that the work of one event can use: all threads of the instance.
    pub fn threads(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// The detector's file. None if the environment names none. A detector in Cloud Storage is downloaded once, with
    /// its card, into a folder of this process.
    ///
    /// # Errors
    /// Permanent: the service setting names no object. Transient: the object can't be downloaded now.
    pub async fn model_file(&self) -> Result<Option<PathBuf>, Failure> {
        let Some(model) = &self.settings.model else { return Ok(None) };
        let Some(address) = model.strip_prefix("gs://") else { return Ok(Some(model.into())) };
        let Some((bucket, name)) = address.split_once('/').filter(|(_, name)| !name.is_empty()) else {
            return Err(Failure::permanent(format!(
                "TRACKDROP_MODEL is {model:?}: it must be a path or gs://BUCKET/OBJECT"
            )));
        };
        let storage = self.settings.google.storage_of(bucket)?;
        let folder = self.cloud.storage.scratch().join("model");
        std::fs::create_dir_all(&folder).map_err(|error| Failure::from_io("making a folder for the model", error))?;
        let file = folder.join(name.rsplit('/').next().unwrap_or(name));
        let card = Path::new(name).with_extension("json");
        for (name, file, is_needed) in
            [(name, file.clone(), true), (card.to_str().unwrap_or_default(), file.with_extension("json"), false)]
        {
            match storage.fetch(&ObjectName::new(Bucket::Work, name), None).await {
                Ok((_, fetched)) => {
                    std::fs::copy(fetched.path(), file)
                        .map_err(|error| Failure::from_io("copying the model", error))?;
                }
                Err(error) if error.is_not_found() && !is_needed => {}
                Err(error) => return Err(Failure::from(error).context(format!("fetching {model}"))),
            }
        }
        Ok(Some(file))
    }
}

/// Runs a function as a service until it is asked to stop. Settings come from the command line and the environment.
/// `trigger` is the text of its trigger file. `start` makes its handler while the service already listens.
pub fn serve<H, F>(trigger: &str, start: F) -> ExitCode
where
    H: Handler + 'static,
    F: AsyncFnOnce(&Environment) -> Result<H, Failure>,
{
    match arguments::follow(&function_of(trigger), false) {
        Ok(Start::Ended) => ExitCode::SUCCESS,
        Ok(Start::Pushed | Start::Pulling) => pushed(trigger, start),
        Err(error) => refuse(error),
    }
}

/// The same. With the argument `--pull`, the function takes its events from the subscription that `--subscription` or
/// `TRACKDROP_SUBSCRIPTION` names, and serves only its health over HTTP.
#[cfg(feature = "pull")]
pub fn serve_or_pull<H, F>(trigger: &str, start: F) -> ExitCode
where
    H: Handler + 'static,
    F: AsyncFnOnce(&Environment) -> Result<H, Failure>,
{
    use crate::pull::{LEASE, Subscription};
    use trackdrop_cloud::google::SettingsError;
    match arguments::follow(&function_of(trigger), true) {
        Ok(Start::Ended) => ExitCode::SUCCESS,
        Ok(Start::Pushed) => pushed(trigger, start),
        Ok(Start::Pulling) => main(trigger, true, start, async move |service, environment, listener, stop| {
            let ServiceSettings { concurrency, google, subscription, .. } = &environment.settings;
            let named =
                subscription.as_deref().ok_or(SettingsError::Missing(crate::setting::SUBSCRIPTION.about.name))?;
            let (emulator, endpoint) = (google.pubsub_emulator.as_deref(), google.endpoints.pubsub.as_deref());
            let subscription = Subscription::open(named, *concurrency, LEASE, emulator, endpoint).await?;
            Ok(service.pull(listener, subscription, stop).await?)
        }),
        Err(error) => refuse(error),
    }
}

fn refuse(error: String) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

fn function_of(trigger: &str) -> String {
    Trigger::parse(trigger).map(|trigger| trigger.function).unwrap_or_default()
}

fn pushed<H, F>(trigger: &str, start: F) -> ExitCode
where
    H: Handler + 'static,
    F: AsyncFnOnce(&Environment) -> Result<H, Failure>,
{
    main(trigger, false, start, async |service, _, listener, stop| Ok(service.serve(listener, stop).await?))
}

type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;
type Ended = Result<(), Box<dyn std::error::Error>>;

/// `main`, for both push and pull.
fn main<H, F, S>(trigger: &str, is_pulled: bool, start: F, serve: S) -> ExitCode
where
    H: Handler + 'static,
    F: AsyncFnOnce(&Environment) -> Result<H, Failure>,
    S: AsyncFnOnce(&Service, &Environment, TcpListener, Stop) -> Ended,
{
    trackdrop_flow::allocator::settle();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the process can't start its threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let telemetry = match TelemetrySettings::from_environment(&function_of(trigger))
        .and_then(|settings| Telemetry::start(&settings, runtime.handle()))
    {
        Ok(telemetry) => telemetry,
        Err(error) => return refuse(error.to_string()),
    };
    let outcome = runtime.block_on(run(trigger, is_pulled, start, serve));
    telemetry.end();
    // Work that does not notice that it must stop must not prevent the end of the process.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run<H, F, S>(trigger: &str, is_pulled: bool, start: F, serve: S) -> Ended
where
    H: Handler + 'static,
    F: AsyncFnOnce(&Environment) -> Result<H, Failure>,
    S: AsyncFnOnce(&Service, &Environment, TcpListener, Stop) -> Ended,
{
    let started = Instant::now();
    let trigger = Trigger::parse(trigger)?;
    let values = Values::of_process()?;
    let settings = ServiceSettings::from_values(&values, &trigger, is_pulled)?;
    let google = &settings.google;
    let storage = Arc::new(google.storage()?);
    let cloud = Cloud::new(storage.clone(), Arc::new(google.publisher()?), Arc::new(google.warehouse()?));
    // Rows wait for the scheduler, which posts `trackdrop.load.window` to `load`.
    let cloud = traced(cloud.by_window(values.has(&crate::setting::LOAD_WINDOW)));
    let (trigger, uploads) = (trigger.ignoring(settings.ignore.as_deref())?, of_uploads(settings.ignore.as_deref())?);
    let function = trigger.function.clone();
    let mut service = Service::new(trigger, storage, google.buckets.clone())
        .with_uploads(uploads)
        .with_concurrency(settings.concurrency)
        .with_deadline(settings.deadline);
    if !is_pulled {
        service = admit(service, &settings);
    }
    let address = SocketAddr::new(settings.listen, settings.port);
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("{address} can't be listened on: {error}"))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = Box::pin(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    tracing::info!(function, %address, ms = started.elapsed().as_millis() as u64, "listening");
    let environment = Environment { cloud, settings, values };
    let ready = async {
        let handler = start(&environment).await.map_err(|failure| format!("{function} can't start: {failure}"))?;
        service.is_ready_with(Arc::new(handler));
        tracing::info!(function, ms = started.elapsed().as_millis() as u64, "ready");
        std::future::pending::<Result<(), String>>().await
    };
    tokio::select! {
        outcome = serve(&service, &environment, listener, stop) => outcome,
        outcome = ready => Ok(outcome?),
    }
}

/// Which callers may push, by the settings. If no tokens are required, it logs that.
fn admit(service: Service, settings: &ServiceSettings) -> Service {
    if let Some(push) = &settings.push {
        let verifier = Verifier::new(&push.audience, &push.service_account).with_keys_url(&push.keys_url);
        return service.with_verifier(verifier);
    }
    if let Some(guard) = &settings.guarded_by {
        tracing::warn!("callers are not checked here, because TRACKDROP_GUARDED_BY says what checks them: {guard:?}");
        return service.guarded_elsewhere();
    }
    tracing::warn!(
        "no tokens are asked for, so only callers on this machine are taken: set TRACKDROP_PUSH_AUDIENCE and TRACKDROP_PUSH_SERVICE_ACCOUNT, \
         or TRACKDROP_GUARDED_BY where something else checks callers"
    );
    service
}
