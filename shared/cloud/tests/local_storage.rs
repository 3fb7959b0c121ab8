//! The local back end is a `Storage` like every other, and survives what a laptop does to it.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use std::{sync::Arc, thread};
use trackdrop_cloud::{Content, Precondition, PutOptions, Storage, conformance, local::LocalCloud};
use trackdrop_pipeline::{
    RequestId, Timestamp,
    names::{Bucket, ObjectName, ResultFile},
};

fn text(text: &'static str) -> Content {
    Content::Bytes(Bytes::from_static(text.as_bytes()))
}

fn request() -> RequestId {
    RequestId::of_upload("uploads", "v.mp4", 1, Timestamp::from_micros(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_store_passes_the_conformance_suite() {
    let folder = tempfile::tempdir().unwrap();
    conformance::check_all(Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_directory_create_an_object_once() {
    let folder = tempfile::tempdir().unwrap();
    // Two handles with connections and locks of their own are what two processes have.
    let stores: Vec<_> = (0..4).map(|_| Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap())).collect();
    for round in 0..20 {
        let object = ObjectName::new(Bucket::Work, format!("round/{round}"));
        let tasks: Vec<_> = stores
            .iter()
            .map(|store| {
                let (store, object) = (store.clone(), object.clone());
                let options = PutOptions { precondition: Precondition::NotExists, ..Default::default() };
                tokio::spawn(async move { store.put(&object, text("x"), options).await.is_ok() })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(task.await.unwrap());
        }
        assert_eq!(winners, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_lies_where_people_look_for_it_and_follows_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalCloud::open(folder.path(), vec![]).unwrap();
    let object = ResultFile::Manifest.object(&request());
    let path = folder.path().join("results").join(request().as_str()).join("manifest.json");
    for content in ["one", "two"] {
        store.put(&object, text(content), PutOptions::default()).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
    store.delete(&object).await.unwrap();
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_left_is_swept_and_the_store_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalCloud::open(folder.path(), vec![]).unwrap();
    let kept = ResultFile::Tracks.object(&request());
    store.put(&kept, text("kept"), PutOptions::default()).await.unwrap();
    // What kill -9 can leave: a lock file that nobody holds, temporary files, a blob without a name, a result without its link.
    let hidden = folder.path().join(".store");
    std::fs::write(hidden.join("hosts/99-dead"), "").unwrap();
    std::fs::create_dir(hidden.join("tmp/99-dead")).unwrap();
    std::fs::write(hidden.join("tmp/99-dead/half"), "half").unwrap();
    std::fs::write(hidden.join("blobs/123"), "orphan").unwrap();
    let link = folder.path().join("results").join(request().as_str()).join("tracks.parquet");
    std::fs::remove_file(&link).unwrap();
    let next = LocalCloud::open(folder.path(), vec![]).unwrap();
    assert!(!hidden.join("tmp/99-dead").exists() && !hidden.join("hosts/99-dead").exists());
    assert!(!hidden.join("blobs/123").exists());
    assert_eq!(std::fs::read_to_string(&link).unwrap(), "kept");
    assert_eq!(next.get(&kept).await.unwrap().1, "kept");
    assert!(store.scratch().exists(), "a living process keeps its temporary files");
}

#[test]
fn a_directory_of_another_layout_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    drop(LocalCloud::open(folder.path(), vec![]).unwrap());
    let catalog = rusqlite::Connection::open(folder.path().join(".store/catalog.db")).unwrap();
    catalog.pragma_update(None, "user_version", 99).unwrap();
    let error = LocalCloud::open(folder.path(), vec![]).unwrap_err().to_string();
    assert!(error.contains("99") && error.contains("--data"), "{error}");
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(LocalCloud::open(&file, vec![]).unwrap_err().to_string().contains("can't be used"));
}

#[test]
fn many_stores_may_open_one_new_directory_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let openers: Vec<_> = (0..6)
        .map(|_| {
            let path = folder.path().to_owned();
            thread::spawn(move || LocalCloud::open(&path, vec![]).map(drop))
        })
        .collect();
    for opener in openers {
        opener.join().unwrap().unwrap();
    }
}
