//! `trackdrop links`: the least certain links of a request, so that a person can check them.

use crate::{
    args::LinksArguments,
    host::{cloud_of, open_existing},
    keys,
    output::line,
    which_request,
};
use anyhow::{anyhow, bail};
use std::path::Path;
use trackdrop_cloud::Storage;
use trackdrop_flow::manifest;
use trackdrop_pipeline::{links::IdentityLink, names::ResultFile};
use trackdrop_tables::tracks;

pub(crate) async fn links(data: &Path, arguments: &LinksArguments) -> anyhow::Result<()> {
    let unknown = || anyhow!("there is no request {:?} in {data:?} (trackdrop requests lists them)", arguments.request);
    let local = open_existing(data)?.ok_or_else(unknown)?;
    let cloud = cloud_of(&local);
    let request = which_request::of(&cloud, &arguments.request).await?;
    let manifest = manifest::read(&cloud, &request).await?.ok_or_else(unknown)?;
    if manifest.settings.refine.link.is_none() {
        bail!("{request} was tracked without links: trackdrop retrack {request} --refine makes a version with them");
    }
    if !manifest.state.has_rows() {
        bail!("{request} is not done ({}): there are no links yet", manifest.state.as_str());
    }
    let (_, bytes) = local.get(&ResultFile::Tracks.object(&request)).await?;
    let mut links = tracks::read_links(bytes)?.unwrap_or_default();
    // Stable: of equals the first.
    links.sort_by(|a, b| a.identity_margin.total_cmp(&b.identity_margin));
    links.truncate(arguments.weakest);
    if arguments.json {
        for link in &links {
            line!("{}", keys::of_part(&manifest, link)?);
        }
        return Ok(());
    }
    line!(
        "{:>15} {:>9} {:>12} {:>12} {:>11} {:>11}",
        "identity_margin",
        "track_id",
        "last_frame",
        "first_frame",
        "last_s",
        "first_s"
    );
    for link in &links {
        let IdentityLink { track_id, last_frame_index, last_time_s, first_frame_index, first_time_s, identity_margin } =
            link;
        line!(
            "{identity_margin:>15.2} {track_id:>9} {last_frame_index:>12} {first_frame_index:>12} {last_time_s:>11.2} {first_time_s:>11.2}"
        );
    }
    Ok(())
}
