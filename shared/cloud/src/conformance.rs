//! Checks what every [`Storage`] must do. A back end's tests call [`check_all`] with an empty store.
//!
//! The checks panic with the difference, like test assertions. No program uses them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::{Content, Listing, OpenObject, Precondition, PutOptions, Storage, StorageError};
use bytes::Bytes;
use std::{collections::BTreeMap, io::Write, sync::Arc};
use trackdrop_pipeline::names::{Bucket, ObjectName};

/// Names that only a store that treats names as data can have.
pub const STRANGE_NAMES: &[&str] = &[
    "plain.mp4",
    "with space.mp4",
    "quote's \"double\".mp4",
    "../../etc/passwd",
    "..",
    ".",
    "a//b/",
    "/absolute",
    "new\nline",
    "tab\tand%41#?&=*[x]",
    "日本語 ünïcode 🎥.mkv",
    "-rf",
    "concat:a|b",
];

fn named(name: impl Into<String>) -> ObjectName {
    ObjectName::new(Bucket::Work, name)
}

fn bytes(text: impl Into<Bytes>) -> Content {
    Content::Bytes(text.into())
}

fn only(precondition: Precondition) -> PutOptions {
    PutOptions { precondition, ..Default::default() }
}

/// Runs every check on one empty store.
pub async fn check_all(storage: Arc<dyn Storage>) {
    what_is_written_is_read_back(&*storage).await;
    names_are_data(&*storage).await;
    create_only_writes_happen_once(storage.clone()).await;
    generations_grow_and_guard_overwrites(&*storage).await;
    one_of_many_compare_and_set_writers_wins_each_round(storage.clone()).await;
    listings_are_in_name_order_and_see_every_write(&*storage).await;
    deleted_objects_are_gone_and_deleting_twice_is_fine(&*storage).await;
    a_temporary_file_becomes_an_object(&*storage).await;
}

async fn what_is_written_is_read_back(storage: &dyn Storage) {
    let object = named("read/back");
    let metadata = BTreeMap::from([("key".to_owned(), "ünï\n\"value\"".to_owned())]);
    let options = PutOptions { metadata: metadata.clone(), content_type: "text/plain", ..Default::default() };
    let written = storage.put(&object, bytes("hello"), options).await.unwrap();
    let (info, content) = storage.get(&object).await.unwrap();
    assert_eq!((info.clone(), &content[..]), (written.clone(), &b"hello"[..]));
    assert_eq!((info.bytes, info.crc32c, &info.metadata), (5, Some(crc32c::crc32c(b"hello")), &metadata));
    assert_eq!(storage.stat(&object).await.unwrap(), written);
    let (info, file) = storage.fetch(&object, Some(written.generation)).await.unwrap();
    assert_eq!((info, std::fs::read(file.path()).unwrap()), (written.clone(), b"hello".to_vec()));
    let other = storage.fetch(&object, Some(written.generation + 1)).await.unwrap_err();
    assert!(other.is_not_found(), "{other}");
    assert!(storage.open(&object, Some(written.generation + 1)).await.unwrap_err().is_not_found());
    let (info, opened) = storage.open(&object, Some(written.generation)).await.unwrap();
    assert_eq!(info, written);
    match opened {
        OpenObject::File(file) => assert_eq!(std::fs::read(file.path()).unwrap(), b"hello"),
        OpenObject::Ranges(ranges) => {
            for (range, part) in [(0..5, "hello"), (0..1, "h"), (1..4, "ell"), (4..5, "o"), (2..2, "")] {
                assert_eq!(ranges.read(range).await.unwrap(), part);
            }
            storage.put(&object, bytes("other"), PutOptions::default()).await.unwrap();
            let error = ranges.read(1..3).await.unwrap_err();
            assert!(error.is_not_found(), "what was opened is another object by now: {error}");
        }
    }
    let empty = named("read/empty");
    storage.put(&empty, bytes(""), PutOptions::default()).await.unwrap();
    assert_eq!(storage.get(&empty).await.unwrap().1.len(), 0);
}

async fn names_are_data(storage: &dyn Storage) {
    let mut written = Vec::new();
    for name in STRANGE_NAMES {
        for bucket in Bucket::ALL {
            let object = ObjectName::new(bucket, format!("strange/{name}"));
            storage.put(&object, bytes(format!("{bucket} {name}")), only(Precondition::NotExists)).await.unwrap();
            written.push(object);
        }
    }
    for object in &written {
        let name = object.name.strip_prefix("strange/").unwrap();
        assert_eq!(storage.get(object).await.unwrap().1, format!("{} {name}", object.bucket), "{object}");
    }
    let listed = storage.list(&named("strange/")).await.unwrap();
    assert_eq!(listed.len(), STRANGE_NAMES.len());
    let longest = named("n".repeat(1_024));
    storage.put(&longest, bytes("x"), PutOptions::default()).await.unwrap();
    assert_eq!(storage.stat(&longest).await.unwrap().bytes, 1);
    for refused in ["".to_owned(), "n".repeat(1_025)] {
        let error = storage.put(&named(refused), bytes("x"), PutOptions::default()).await.unwrap_err();
        assert!(matches!(error, StorageError::Name(_)), "{error}");
    }
}

async fn create_only_writes_happen_once(storage: Arc<dyn Storage>) {
    let object = named("create/once");
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (storage, object) = (storage.clone(), object.clone());
            tokio::spawn(async move {
                storage.put(&object, bytes(format!("writer {writer}")), only(Precondition::NotExists)).await
            })
        })
        .collect();
    let mut winners = Vec::new();
    for (writer, task) in writers.into_iter().enumerate() {
        match task.await.unwrap() {
            Ok(_) => winners.push(writer),
            Err(error) => assert!(error.is_precondition(), "{error}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(storage.get(&object).await.unwrap().1, format!("writer {}", winners[0]));
}

async fn generations_grow_and_guard_overwrites(storage: &dyn Storage) {
    let object = named("generations");
    let first = storage.put(&object, bytes("1"), PutOptions::default()).await.unwrap();
    let stale =
        storage.put(&object, bytes("x"), only(Precondition::Generation(first.generation + 7))).await.unwrap_err();
    assert!(stale.is_precondition(), "{stale}");
    assert_eq!(storage.get(&object).await.unwrap().1, "1", "a refused write has no effect");
    let second = storage.put(&object, bytes("2"), only(Precondition::Generation(first.generation))).await.unwrap();
    assert!(second.generation > first.generation);
    let other = storage.put(&named("generations/other"), bytes("3"), PutOptions::default()).await.unwrap();
    assert!(other.generation > second.generation, "generations grow over the whole store");
    storage.delete(&object).await.unwrap();
    let gone = storage.put(&object, bytes("x"), only(Precondition::Generation(second.generation))).await.unwrap_err();
    assert!(gone.is_precondition() || gone.is_not_found(), "{gone}");
    let again = storage.put(&object, bytes("4"), only(Precondition::NotExists)).await.unwrap();
    assert!(again.generation > other.generation, "a deleted name's generations are never used again");
}

async fn one_of_many_compare_and_set_writers_wins_each_round(storage: Arc<dyn Storage>) {
    let object = named("counter");
    storage.put(&object, bytes("0"), PutOptions::default()).await.unwrap();
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (storage, object) = (storage.clone(), object.clone());
            tokio::spawn(async move {
                let mut wins = 0;
                while wins < 5 {
                    let (info, content) = match storage.get(&object).await {
                        Ok(read) => read,
                        // A read may fail if the object is overwritten faster than it is read. That means that another
                        // writer has won, so there is progress.
                        Err(StorageError::Unavailable { .. }) => continue,
                        Err(error) => panic!("{error}"),
                    };
                    let count: u32 = std::str::from_utf8(&content).unwrap().parse().unwrap();
                    let next = bytes((count + 1).to_string());
                    match storage.put(&object, next, only(Precondition::Generation(info.generation))).await {
                        Ok(_) => wins += 1,
                        Err(error) => assert!(error.is_precondition(), "{error}"),
                    }
                }
            })
        })
        .collect();
    for task in writers {
        task.await.unwrap();
    }
    assert_eq!(storage.get(&object).await.unwrap().1, "20", "no increment was lost");
}

async fn listings_are_in_name_order_and_see_every_write(storage: &dyn Storage) {
    let mut names: Vec<String> = (0..30).map(|i| format!("list/{:06}", (i * 37) % 1_000)).collect();
    names.extend(["list/%x", "list/_x", "list/A", "list/a", "list/ä", "list/\u{10ffff}"].map(String::from));
    for name in &names {
        storage.put(&named(name.clone()), bytes("x"), PutOptions::default()).await.unwrap();
        let listed = storage.list(&named("list/")).await.unwrap();
        assert!(listed.iter().any(|info| info.object.name == *name), "{name} is listed as soon as it is written");
    }
    names.sort();
    let mut listing = Listing::of(storage, named("list/"));
    for name in &names {
        assert_eq!(listing.next().await.unwrap().map(|info| info.object.name).as_ref(), Some(name));
    }
    assert_eq!(listing.next().await.unwrap(), None);
    let listed: Vec<_> =
        storage.list(&named("list/")).await.unwrap().into_iter().map(|info| info.object.name).collect();
    assert_eq!(listed, names);
    for (prefix, count) in
        [("list/0000", 5), ("list/%", 1), ("list/_", 1), ("list/\u{10ffff}", 1), ("lis", 36), ("nothing", 0)]
    {
        assert_eq!(storage.list(&named(prefix)).await.unwrap().len(), count, "{prefix}");
    }
}

async fn deleted_objects_are_gone_and_deleting_twice_is_fine(storage: &dyn Storage) {
    let object = named("deleted");
    storage.put(&object, bytes("x"), PutOptions::default()).await.unwrap();
    storage.delete(&object).await.unwrap();
    storage.delete(&object).await.unwrap();
    assert!(storage.stat(&object).await.unwrap_err().is_not_found());
    assert!(storage.get(&object).await.unwrap_err().is_not_found());
    assert!(storage.fetch(&object, None).await.unwrap_err().is_not_found());
    assert!(storage.list(&object).await.unwrap().is_empty());
}

async fn a_temporary_file_becomes_an_object(storage: &dyn Storage) {
    let mut file = tempfile::NamedTempFile::new_in(storage.scratch()).unwrap();
    let content = vec![7u8; 300_000];
    file.write_all(&content).unwrap();
    let (path, object) = (file.path().to_owned(), named("from/file"));
    let info = storage.put(&object, Content::File(file.into_temp_path()), PutOptions::default()).await.unwrap();
    assert_eq!((info.bytes, info.crc32c), (300_000, Some(crc32c::crc32c(&content))));
    assert_eq!(storage.get(&object).await.unwrap().1, content);
    assert!(!path.exists(), "the temporary file is consumed");
    let refused = tempfile::NamedTempFile::new_in(storage.scratch()).unwrap().into_temp_path();
    let path = refused.to_path_buf();
    storage.put(&object, Content::File(refused), only(Precondition::NotExists)).await.unwrap_err();
    assert!(!path.exists(), "a refused one as well");
}
