//! Blobs in a folder, in memory and in S3.

use std::io::Write;

use futures::TryStreamExt;
use kapelle_storage::blobs::{BlobError, Blobs, BlobsConfig};
use kapelle_testing::s3::S3Server;
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};

/// A store and what it lives in.
struct Store {
    blobs: Blobs,
    _folder: Option<TempDir>,
    s3: Option<S3Server>,
}

async fn store(kind: &str) -> Store {
    let (mut folder, mut s3) = (None, None);
    let config = match kind {
        "folder" => {
            let path = folder.insert(tempfile::tempdir().unwrap()).path();
            BlobsConfig::new(format!("file:{}", path.join("blobs").display()))
        }
        "memory" => BlobsConfig::new("memory:"),
        _ => {
            let server = s3.insert(S3Server::start().await);
            BlobsConfig {
                access_key: Some(S3Server::ACCESS_KEY.to_owned()),
                secret: Some(S3Server::SECRET_KEY.to_owned()),
                ..BlobsConfig::new(format!(
                    "s3://{}/some/prefix?endpoint={}&region={}&path_style=true&allow_http=true",
                    S3Server::BUCKET,
                    server.endpoint(),
                    S3Server::REGION
                ))
            }
        }
    };
    Store {
        blobs: Blobs::open(&config).unwrap(),
        _folder: folder,
        s3,
    }
}

fn file(bytes: &[u8]) -> (NamedTempFile, Vec<u8>) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    (file, Sha256::digest(bytes).to_vec())
}

async fn read(blobs: &Blobs, sha256: &[u8], range: Option<std::ops::Range<u64>>) -> Vec<u8> {
    let reader = blobs.get(sha256, range).await.unwrap();
    let parts: Vec<_> = reader.stream.try_collect().await.unwrap();
    parts.concat()
}

#[rstest::rstest]
#[tokio::test]
async fn what_is_stored_is_read_whole_and_in_ranges(
    #[values("folder", "memory", "s3")] kind: &str,
) {
    let store = store(kind).await;
    let blobs = &store.blobs;
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let (source, sha256) = file(&bytes);
    assert!(!blobs.exists(&sha256).await.unwrap());
    blobs.put_file(&sha256, source.path()).await.unwrap();
    blobs.put_file(&sha256, source.path()).await.unwrap();
    assert_eq!(blobs.size(&sha256).await.unwrap(), Some(400_000));
    assert!(read(blobs, &sha256, None).await == bytes);
    assert_eq!(read(blobs, &sha256, Some(0..4)).await, bytes[..4]);
    assert_eq!(
        read(blobs, &sha256, Some(399_990..500_000)).await,
        bytes[399_990..]
    );
    let reader = blobs.get(&sha256, Some(8..16)).await.unwrap();
    assert_eq!((reader.size, reader.range), (400_000, 8..16));
    blobs.verify(&sha256).await.unwrap();
    blobs.check().await.unwrap();
}

#[rstest::rstest]
#[tokio::test]
async fn a_large_file_is_stored_in_parts(#[values("folder", "memory", "s3")] kind: &str) {
    let store = store(kind).await;
    let bytes: Vec<u8> = (0..20 * 1024 * 1024_u32)
        .map(|at| (at / 977 % 251) as u8)
        .collect();
    let (source, sha256) = file(&bytes);
    store.blobs.put_file(&sha256, source.path()).await.unwrap();
    store.blobs.verify(&sha256).await.unwrap();
    assert!(read(&store.blobs, &sha256, None).await == bytes);
}

#[rstest::rstest]
#[tokio::test]
async fn an_empty_file_is_a_blob_too(#[values("folder", "memory", "s3")] kind: &str) {
    let store = store(kind).await;
    let (source, sha256) = file(b"");
    store.blobs.put_file(&sha256, source.path()).await.unwrap();
    assert_eq!(read(&store.blobs, &sha256, None).await, b"");
}

#[rstest::rstest]
#[tokio::test]
async fn a_deleted_blob_is_missing_and_may_be_deleted_again(
    #[values("folder", "memory", "s3")] kind: &str,
) {
    let store = store(kind).await;
    let (source, sha256) = file(b"bytes");
    store.blobs.put_file(&sha256, source.path()).await.unwrap();
    store.blobs.delete(&sha256).await.unwrap();
    store.blobs.delete(&sha256).await.unwrap();
    assert!(!store.blobs.exists(&sha256).await.unwrap());
    for error in [
        store.blobs.get(&sha256, None).await.err(),
        store.blobs.verify(&sha256).await.err(),
    ] {
        assert!(
            matches!(error, Some(BlobError::Missing { .. })),
            "{error:?}"
        );
    }
}

#[rstest::rstest]
#[tokio::test]
async fn bytes_under_another_name_are_refused(#[values("folder", "memory", "s3")] kind: &str) {
    let store = store(kind).await;
    let (source, _) = file(b"bytes");
    let error = store
        .blobs
        .put_file(&[0; 32], source.path())
        .await
        .unwrap_err();
    assert!(matches!(error, BlobError::Mismatch { .. }), "{error}");
    assert!(!store.blobs.exists(&[0; 32]).await.unwrap());
    let error = store
        .blobs
        .put_file(&[0; 20], source.path())
        .await
        .unwrap_err();
    assert!(matches!(error, BlobError::Mismatch { .. }), "{error}");
    assert_eq!(
        store.blobs.exists(&[0; 20]).await.unwrap_err().to_string(),
        "a blob's name has 32 bytes, not 20"
    );
}

#[rstest::rstest]
#[tokio::test]
async fn damage_is_found(#[values("folder", "s3")] kind: &str) {
    let store = store(kind).await;
    let (source, sha256) = file(b"bytes");
    store.blobs.put_file(&sha256, source.path()).await.unwrap();
    let name = hex::encode(&sha256);
    let path = match &store.s3 {
        Some(server) => server
            .bucket_folder()
            .join("some/prefix")
            .join(&name[..2])
            .join(&name[2..4])
            .join(&name),
        None => store.blobs.local_path(&sha256).unwrap(),
    };
    std::fs::write(path, b"bytez").unwrap();
    let error = store.blobs.verify(&sha256).await.unwrap_err();
    assert!(matches!(error, BlobError::Mismatch { .. }), "{error}");
}

#[tokio::test]
async fn a_folder_gives_a_path_and_leaves_nothing_but_blobs_behind() {
    let store = store("folder").await;
    let (source, sha256) = file(b"bytes");
    store.blobs.put_file(&sha256, source.path()).await.unwrap();
    let path = store.blobs.local_path(&sha256).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"bytes");
    let beside: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1);
}

#[tokio::test]
async fn urls_that_cannot_be_used_are_refused_with_a_sentence() {
    let mut sentences = Vec::new();
    for url in [
        "ftp://x",
        "file:",
        "s3://key:secret@bucket/",
        "s3://bucket/a?acl=public",
        "blobs",
    ] {
        sentences.push(Blobs::open(&BlobsConfig::new(url)).unwrap_err().to_string());
    }
    insta::assert_snapshot!(sentences.join("\n"), @r#"
    the blob URL "ftp://x" cannot be used: its scheme is not known; write file:PATH, s3://BUCKET/PREFIX?region=REGION or memory:
    the blob URL "file:" cannot be used: it names no folder; write file:PATH, s3://BUCKET/PREFIX?region=REGION or memory:
    the blob URL "s3://bucket/" cannot be used: keys do not belong into it; write file:PATH, s3://BUCKET/PREFIX?region=REGION or memory:
    the blob URL "s3://bucket/a" cannot be used: the parameter acl=public is not known; write file:PATH, s3://BUCKET/PREFIX?region=REGION or memory:
    the blob URL "blobs" cannot be used: its scheme is not known; write file:PATH, s3://BUCKET/PREFIX?region=REGION or memory:
    "#);
}

#[tokio::test]
async fn an_s3_server_that_refuses_the_key_is_named() {
    let server = S3Server::start().await;
    let url = format!(
        "s3://{}?endpoint={}&region=x&path_style=true&allow_http=true",
        S3Server::BUCKET,
        server.endpoint()
    );
    let config = BlobsConfig {
        access_key: Some("wrong".into()),
        secret: Some("wrong".into()),
        ..BlobsConfig::new(url)
    };
    assert!(!format!("{config:?}").contains("wrong"));
    let error = Blobs::open(&config)
        .unwrap()
        .check()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("the blob store s3://kapelle cannot be used"),
        "{error}"
    );
}
