//! The two compressed forms in which every document is kept.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A good ratio at little cost; documents are compressed once and sent often.
const GZIP_LEVEL: u32 = 6;
/// As above.
const ZSTD_LEVEL: i32 = 6;

/// The same bytes, compressed.
#[derive(Debug)]
pub(super) struct Compressed {
    pub(super) gzip: Vec<u8>,
    pub(super) zstd: Vec<u8>,
}

/// Compresses deterministically: equal input gives equal output.
pub(super) fn compress(body: &[u8]) -> std::io::Result<Compressed> {
    let mut gzip = GzEncoder::new(
        Vec::with_capacity(body.len() / 6),
        Compression::new(GZIP_LEVEL),
    );
    gzip.write_all(body)?;
    Ok(Compressed {
        gzip: gzip.finish()?,
        zstd: zstd::bulk::compress(body, ZSTD_LEVEL)?,
    })
}
