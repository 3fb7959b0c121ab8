//! Cloud Storage as fake-gcs-server gives it: the suite that every back end passes, and what is particular to uploads.
//!
//! The emulator checks preconditions on multipart uploads only and answers a question about a resumable upload wrongly, so nothing
//! here rests on those.
#![cfg(feature = "google")]
#![allow(clippy::unwrap_used)]

use std::{io::Write, sync::Arc};
use trackdrop_cloud::{
    Content, PutOptions, Storage,
    conformance::check_all,
    google::{Api, Buckets, CloudStorage},
};
use trackdrop_emulators as emulators;
use trackdrop_pipeline::{Bucket, names::ObjectName};

async fn storage() -> Option<(emulators::Emulator, CloudStorage)> {
    let emulator = emulators::cloud_storage(None)?;
    let http = reqwest::Client::new();
    for bucket in ["acme-uploads", "acme-work", "acme-results"] {
        let url = format!("http://{}/storage/v1/b?project=acme", emulator.host());
        let made = http.post(url).json(&serde_json::json!({ "name": bucket })).send().await.unwrap();
        assert!(made.status().is_success());
    }
    let api = Api::new("https://storage.googleapis.com", Some(&emulator.host())).unwrap();
    let buckets = Buckets { uploads: "acme-uploads".into(), work: "acme-work".into(), results: "acme-results".into() };
    Some((emulator, CloudStorage::new(api, buckets).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_storage_passes_the_suite_of_every_back_end() {
    let Some((_emulator, storage)) = storage().await else { return };
    check_all(Arc::new(storage)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_uploaded_in_parts_and_is_whole() {
    let Some((_emulator, storage)) = storage().await else { return };
    let storage = storage.with_resumable_from(1 << 20);
    let content: Vec<u8> = (0..20_000_001u32).map(|i| (i ^ (i >> 11)) as u8).collect();
    let mut file = tempfile::NamedTempFile::new_in(storage.scratch()).unwrap();
    file.write_all(&content).unwrap();
    let object = ObjectName::new(Bucket::Results, "req/annotated 100%.mp4");
    let metadata = [("trackdrop-work".to_owned(), "{\"seconds\":1.5}".to_owned())].into();
    let options = PutOptions { content_type: "video/mp4", metadata, ..Default::default() };
    let info = storage.put(&object, Content::File(file.into_temp_path()), options.clone()).await.unwrap();
    assert_eq!((info.bytes, info.crc32c), (content.len() as u64, Some(crc32c::crc32c(&content))));
    let (fetched, file) = storage.fetch(&object, Some(info.generation)).await.unwrap();
    assert_eq!((&fetched.metadata, std::fs::read(file.path()).unwrap() == content), (&options.metadata, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_several_pages_is_whole_and_in_order() {
    let Some((_emulator, storage)) = storage().await else { return };
    let names: Vec<String> = (0..1_205).map(|number| format!("many/{number:06}")).collect();
    for name in &names {
        let object = ObjectName::new(Bucket::Work, name);
        storage.put(&object, Content::Bytes("x".into()), PutOptions::default()).await.unwrap();
    }
    let listed = storage.list(&ObjectName::new(Bucket::Work, "many/")).await.unwrap();
    assert_eq!(listed.into_iter().map(|info| info.object.name).collect::<Vec<_>>(), names);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_is_a_failure_that_may_pass() {
    let port = emulators::free_port();
    let retry = trackdrop_cloud::google::Retry::default().with_attempts(1);
    let api = Api::new("", Some(&format!("127.0.0.1:{port}"))).unwrap().with_retry(retry);
    let buckets = Buckets { uploads: "u".into(), work: "w".into(), results: "r".into() };
    let storage = CloudStorage::new(api, buckets).unwrap();
    let error = storage.stat(&ObjectName::new(Bucket::Work, "x")).await.unwrap_err();
    assert_eq!(trackdrop_pipeline::Failure::from(error).kind(), trackdrop_pipeline::FailureKind::Transient);
}
