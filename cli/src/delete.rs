//! `trackdrop delete`: removes requests everywhere, locally or in the cloud.

use crate::{args::DeleteArguments, google, host, output::line};
use anyhow::{anyhow, bail};
use std::{path::Path, sync::Arc};
use trackdrop_cloud::local::LocalCloud;
use trackdrop_flow::{
    Cloud,
    delete::{self, Deletion},
};
use trackdrop_pipeline::RequestId;

pub(crate) async fn delete(data: &Path, arguments: &DeleteArguments) -> anyhow::Result<()> {
    let mut requests: Vec<RequestId> = Vec::new();
    for text in &arguments.requests {
        let request = text.parse()?;
        if !requests.contains(&request) {
            requests.push(request);
        }
    }
    let place = match arguments.google {
        true => "the buckets (trackdrop show VIDEO --google prints the id of one)".to_owned(),
        false => format!("{data:?} (trackdrop requests lists them)"),
    };
    let unknown = |request: &RequestId| anyhow!("there is no request {request} in {place}");
    let (cloud, local) = match arguments.google {
        true => (google::deployment()?.0, None),
        false => {
            let local = host::open_existing(data)?.ok_or_else(|| unknown(&requests[0]))?;
            (host::cloud_of(&local), Some(local))
        }
    };
    // All are looked at before the first is deleted: a mistyped id must not leave the others half way.
    let mut deletions = Vec::new();
    for request in &requests {
        let deletion = delete::find(&cloud, request).await?.ok_or_else(|| unknown(request))?;
        check(&deletion, &requests, arguments.upload, arguments.force)?;
        deletions.push(deletion);
    }
    for deletion in &deletions {
        if !arguments.dry_run {
            carry_out(&cloud, local.as_ref(), deletion, arguments.upload).await?;
        }
        tell(deletion, arguments)?;
    }
    Ok(())
}

/// Refuses what would take something from another request, or from under the feet of a function.
pub(crate) fn check(deletion: &Deletion, all: &[RequestId], with_upload: bool, force: bool) -> anyhow::Result<()> {
    let request = &deletion.request;
    if let Some(state) = deletion.state.filter(|state| !state.is_final() && !force) {
        bail!(
            "{request} is in progress ({}): functions may be working for it, and would write what is deleted now. Wait for its end, or give --force",
            state.as_str()
        );
    }
    let needed_by = deletion.versions.iter().find(|(version, state)| !state.is_final() && !all.contains(version));
    if let Some((version, state)) = needed_by.filter(|_| !force) {
        bail!(
            "{version} is in progress ({}) and needs the chunks and detections of {request}: wait for its end, or give --force",
            state.as_str()
        );
    }
    let sharing: Vec<_> =
        deletion.sharing_upload().filter(|other| !all.contains(other)).map(RequestId::as_str).collect();
    if with_upload && !sharing.is_empty() {
        bail!("the upload of {request} is also that of {}: name them, too, or leave --upload out", sharing.join(", "));
    }
    Ok(())
}

pub(crate) async fn carry_out(
    cloud: &Cloud,
    local: Option<&Arc<LocalCloud>>,
    deletion: &Deletion,
    with_upload: bool,
) -> anyhow::Result<()> {
    let request = &deletion.request;
    if let Some(local) = local
        && !local.drop_messages(request).await?
    {
        bail!("{request} is being processed by another trackdrop right now: wait for it or stop it");
    }
    delete::carry_out(cloud, deletion, with_upload, |_| {}).await.map_err(|failure| {
        anyhow!("{request} is only partly deleted: {failure}. Give the same command again to resume")
    })?;
    if let Some(local) = local {
        // Where people looked for its results. What they put there themselves keeps the folder.
        std::fs::remove_dir(local.root().join("results").join(request.as_str())).ok();
    }
    Ok(())
}

fn tell(deletion: &Deletion, arguments: &DeleteArguments) -> anyhow::Result<()> {
    let Deletion { request, upload, upload_exists, objects, version_of, versions, .. } = deletion;
    let video = upload.as_ref().map(|upload| upload.name.as_str());
    let upload = upload.as_ref().filter(|_| *upload_exists).map(|upload| upload.name.as_str());
    let versions: Vec<_> = versions.iter().map(|(version, _)| version.as_str()).collect();
    if arguments.json {
        let names: Vec<_> = objects.iter().map(|info| info.object.to_string()).collect();
        line!(
            "{}",
            serde_json::json!({
                "request_id": request, "retrack_of": version_of, "video": video, "state": deletion.state, "deleted": !arguments.dry_run, "objects": names, "bytes": deletion.bytes(),
                "upload": upload, "upload_deleted": arguments.upload && !arguments.dry_run && upload.is_some(),
                "versions": versions,
            })
        );
        return Ok(());
    }
    let did = if arguments.dry_run { "would be deleted" } else { "is deleted" };
    let (count, mb) = (objects.len(), deletion.bytes() as f64 / 1e6);
    line!("{request} {did}: its rows, {count} objects, {mb:.1} MB");
    match upload.map(|name| name.escape_debug()) {
        Some(name) if arguments.upload => line!("  upload      {name} {did}, too"),
        Some(name) => line!("  upload      {name} remains (--upload deletes it, too)"),
        None => line!("  upload      was already deleted"),
    }
    if let Some(root) = version_of {
        line!("  version of  {root}, which remains unless you name it, too");
    }
    if !versions.is_empty() {
        line!("  versions    {}: their results stay, but they can't be tracked again", versions.join(", "));
    }
    Ok(())
}
