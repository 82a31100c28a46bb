//! What a faulty git server answers: nothing, half of it, or something else.

use std::io;

use axum::body::{Body, Bytes, to_bytes};
use axum::response::Response;
use futures::stream;
use futures::{StreamExt as _, TryStreamExt as _};

/// The largest answer that is changed.
const MAX_ANSWER: usize = 64 << 20;
/// Bytes of a pack in one packet; git allows 65,515.
const PACKET: usize = 32 * 1024;

/// What becomes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is taken and never answered.
    Silence,
    /// So many bytes are sent, then nothing more; the connection stays.
    Stall(usize),
    /// So many bytes are sent, then the connection is cut.
    Cut(usize),
    /// A page is sent in its place, with 200.
    Page,
    /// The pack's bytes are these instead, in good packets.
    Pack(Vec<u8>),
    /// The pack ends after so many bytes, and the protocol ends well.
    ShortPack(usize),
    /// The byte at this place of the pack, counted from its end, is another one.
    DamagedPack(usize),
    /// Refs are announced that are not there: object name and full name.
    Announced(Vec<(String, String)>),
}

/// Which answers are faulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The first one, and the list of refs.
    Listing,
    /// Those that bring a pack.
    Pack,
}

impl Stage {
    /// The stage that a request belongs to, in version 2 of the protocol.
    pub(crate) fn of(body: &[u8]) -> Self {
        let is_fetch = body
            .windows(b"command=fetch".len())
            .any(|window| window == b"command=fetch");
        if is_fetch { Self::Pack } else { Self::Listing }
    }
}

impl Fault {
    /// The answer as the client gets it.
    pub(crate) async fn spoil(self, answer: Response) -> Response {
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, MAX_ANSWER)
            .await
            .expect("git http-backend has answered");
        let body = match self {
            Self::Silence => std::future::pending().await,
            Self::Stall(sent) => begun(&body, sent, stream::pending().boxed()),
            Self::Cut(sent) => {
                let cut = async {
                    // In between, the server writes what it has.
                    tokio::task::yield_now().await;
                    Err(io::Error::other("cut"))
                };
                begun(&body, sent, stream::once(cut).boxed())
            }
            Self::Page => Body::from("<!doctype html><title>Down for maintenance</title>\n"),
            Self::Pack(pack) => Body::from(with_pack(&body, |_| pack)),
            Self::ShortPack(length) => Body::from(with_pack(&body, |mut pack| {
                pack.truncate(length);
                pack
            })),
            Self::DamagedPack(from_end) => Body::from(with_pack(&body, |mut pack| {
                let place = pack.len() - from_end;
                pack[place] ^= 0x55;
                pack
            })),
            Self::Announced(refs) => Body::from(with_refs(&body, &refs)),
        };
        Response::from_parts(parts, body)
    }
}

/// The beginning of a body, and what comes after it.
fn begun(body: &Bytes, sent: usize, rest: stream::BoxStream<'static, io::Result<Bytes>>) -> Body {
    let sent = body.slice(..sent.min(body.len()));
    let first = stream::iter([Ok(sent)]);
    Body::from_stream(first.chain(rest).into_stream())
}

/// The packets of a body: the bytes after each length. Lengths below four are packets that end or part something.
fn packets(mut body: &[u8]) -> Vec<(usize, &[u8])> {
    let mut packets = Vec::new();
    while let Some((digits, rest)) = body.split_at_checked(4) {
        let digits = std::str::from_utf8(digits).expect("a length in hexadecimal");
        let length = usize::from_str_radix(digits, 16).expect("a length in hexadecimal");
        let (content, rest) = rest.split_at(length.saturating_sub(4));
        packets.push((length, content));
        body = rest;
    }
    packets
}

fn write_packet(out: &mut Vec<u8>, content: &[u8]) {
    out.extend_from_slice(format!("{:04x}", content.len() + 4).as_bytes());
    out.extend_from_slice(content);
}

/// The same answer with another pack. An answer without one stays as it is.
fn with_pack(body: &Bytes, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let packets = packets(body);
    let start = packets
        .iter()
        .position(|(_, content)| *content == b"packfile\n");
    let Some(start) = start else {
        return body.to_vec();
    };
    let mut out = Vec::new();
    for (length, content) in &packets[..=start] {
        match length {
            0..4 => out.extend_from_slice(format!("{length:04x}").as_bytes()),
            _ => write_packet(&mut out, content),
        }
    }
    // The first byte of each packet says what it brings: 1 is the pack.
    let pack = packets[start + 1..]
        .iter()
        .filter_map(|(_, content)| content.strip_prefix(&[1]))
        .collect::<Vec<_>>()
        .concat();
    for piece in change(pack).chunks(PACKET) {
        write_packet(&mut out, &[&[1], piece].concat());
    }
    out.extend_from_slice(b"0000");
    out
}

/// The same list with more refs. An answer that lists none stays as it is.
fn with_refs(body: &Bytes, refs: &[(String, String)]) -> Vec<u8> {
    let is_list = packets(body)
        .iter()
        .any(|(_, content)| content.windows(5).any(|window| window == b" refs"));
    let Some(list) = body.strip_suffix(b"0000").filter(|_| is_list) else {
        return body.to_vec();
    };
    let mut out = list.to_vec();
    for (oid, name) in refs {
        write_packet(&mut out, format!("{oid} {name}\n").as_bytes());
    }
    out.extend_from_slice(b"0000");
    out
}
