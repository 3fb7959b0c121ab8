//! The deployment on Google Cloud that the environment variables name, as for the services. Commands use it to read or repair
//! requests.

use anyhow::Context;
use std::sync::Arc;
use trackdrop_cloud::google::{Buckets, GoogleSettings};
use trackdrop_flow::Cloud;

/// Its objects, topics and tables, and its buckets' own names; with the caller's credentials.
pub(crate) fn deployment() -> anyhow::Result<(Cloud, Buckets)> {
    let settings = GoogleSettings::from_environment()
        .context("this needs the environment variables of the services (docs/services.md lists them)")?;
    let cloud =
        Cloud::new(Arc::new(settings.storage()?), Arc::new(settings.publisher()?), Arc::new(settings.warehouse()?));
    Ok((cloud, settings.buckets))
}
