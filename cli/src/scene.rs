//! `trackdrop scene`: checks, stores, lists and previews scenes (lines and zones).

mod preview;

use crate::{
    args::{SceneCommand, SceneStore},
    google,
    host::{cloud_of, open_data, open_existing},
    output::line,
};
use anyhow::{Context, bail};
use std::{path::Path, sync::Arc};
use trackdrop_cloud::{Content, PutOptions, Storage};
use trackdrop_database::scenes;
use trackdrop_scenes::{Homography, Scene};

pub(crate) async fn scene(data: &Path, command: &SceneCommand) -> anyhow::Result<()> {
    match command {
        SceneCommand::Check { files } => {
            for file in files {
                line!("{}", described(&read(file)?));
            }
        }
        SceneCommand::Add { files, store } => {
            // All are read before the first is written.
            let all = files.iter().map(|file| read(file)).collect::<anyhow::Result<Vec<_>>>()?;
            let storage = to_write(data, store)?;
            for scene in all {
                let options = PutOptions { content_type: scenes::CONTENT_TYPE, ..PutOptions::default() };
                storage.put(&scenes::object(&scene.name), Content::Bytes(scene.ndjson().into()), options).await?;
                line!("{}", described(&scene));
            }
        }
        SceneCommand::List { store, json } => {
            if let Some(storage) = to_read(data, store)? {
                for scene in scenes::stored(&*storage).await? {
                    match json {
                        true => line!("{}", serde_json::to_string(&scene)?),
                        false => line!("{}", described(&scene)),
                    }
                }
            }
        }
        SceneCommand::Show { name, store } => {
            line!("{}", serde_json::to_string_pretty(&one(data, name, store).await?)?);
        }
        SceneCommand::Remove { names, store } => {
            for name in names {
                let storage = known(data, name, store).await?;
                storage.delete(&scenes::object(name)).await?;
                line!("{name}: removed");
            }
        }
        SceneCommand::Preview { scene, video, out, at, reading } => {
            let scene = match Path::new(scene).is_file() {
                true => read(Path::new(scene))?,
                false => one(data, scene, &SceneStore { google: false }).await?,
            };
            preview::preview(&scene, video, out, *at, reading)?;
        }
        SceneCommand::Schema => line!("{}", serde_json::to_string_pretty(&Scene::schema())?),
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Scene> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{file:?} can't be read"))?;
    Scene::parse(&text).map_err(|error| anyhow::anyhow!("{}: {error}", file.display().to_string().escape_debug()))
}

fn to_write(data: &Path, store: &SceneStore) -> anyhow::Result<Arc<dyn Storage>> {
    match store.google {
        true => Ok(google::deployment()?.0.storage),
        false => Ok(cloud_of(&open_data(data)?).storage),
    }
}

/// None if nothing is stored yet.
fn to_read(data: &Path, store: &SceneStore) -> anyhow::Result<Option<Arc<dyn Storage>>> {
    match store.google {
        true => Ok(Some(google::deployment()?.0.storage)),
        false => Ok(open_existing(data)?.map(|local| cloud_of(&local).storage)),
    }
}

/// The store, if it has a scene of this name.
async fn known(data: &Path, name: &str, store: &SceneStore) -> anyhow::Result<Arc<dyn Storage>> {
    let missing = || format!("there is no scene {name:?} (trackdrop scene list lists them)");
    let Some(storage) = to_read(data, store)? else { bail!(missing()) };
    match storage.stat(&scenes::object(name)).await {
        Ok(_) => Ok(storage),
        Err(error) if error.is_not_found() => bail!(missing()),
        Err(error) => Err(error.into()),
    }
}

async fn one(data: &Path, name: &str, store: &SceneStore) -> anyhow::Result<Scene> {
    let (_, bytes) = known(data, name, store).await?.get(&scenes::object(name)).await?;
    Ok(scenes::parsed(name, &bytes)?)
}

/// A scene in one line.
fn described(scene: &Scene) -> String {
    let names = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let picture = scene.picture;
    let calibration = match scene.calibration.as_deref().map(Homography::of) {
        Some(Ok(map)) => format!("; calibrated, residual {:.3} m", map.residual_m),
        _ => String::new(),
    };
    format!(
        "{}: {}x{}, videos {}; lines {}; zones {}{calibration}",
        scene.name,
        picture.width_px,
        picture.height_px,
        scene.videos.join(", "),
        names(scene.lines.iter().map(|line| line.name.as_str()).collect()),
        names(scene.zones.iter().map(|zone| zone.name.as_str()).collect()),
    )
}
