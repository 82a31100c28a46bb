//! A client with a cache like Composer's.

use std::collections::HashMap;
use std::io::Read;

use axum::http::Request;
use flate2::read::GzDecoder;

use crate::app::{Answer, TestApp};

/// What is remembered, by address.
#[derive(Default)]
pub(super) struct Cache(HashMap<String, (String, Vec<u8>)>);

/// Status and bytes as the program above the cache sees them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Cache {
    /// Asks with the date that came with the remembered bytes, and takes those when nothing has changed since.
    pub(super) async fn read(&mut self, app: &TestApp, token: &str, address: &str) -> Seen {
        let mut request = Request::get(address).header("accept-encoding", "gzip");
        let known = self.0.get(address);
        if let Some((date, _)) = known {
            request = request.header("if-modified-since", date);
        }
        let answer = app.holding(token).send(request, "").await;
        if let (304, Some((_, bytes))) = (answer.status, known) {
            return Seen {
                status: 200,
                body: bytes.clone(),
            };
        }
        let date = answer.header("last-modified").to_owned();
        let seen = Seen {
            status: answer.status,
            body: decoded(&answer),
        };
        if seen.status == 200 && !date.is_empty() {
            self.0.insert(address.to_owned(), (date, seen.body.clone()));
        }
        seen
    }
}

/// What a client without a cache and without compression gets.
pub(super) async fn read_fresh(app: &TestApp, token: &str, address: &str) -> Seen {
    let answer = app.holding(token).get(address).await;
    Seen {
        status: answer.status,
        body: decoded(&answer),
    }
}

fn decoded(answer: &Answer) -> Vec<u8> {
    if answer.header("content-encoding") != "gzip" {
        return answer.body.to_vec();
    }
    let mut plain = Vec::new();
    GzDecoder::new(&*answer.body)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}
