//! Pages of lists: which one is asked for, and where the others are.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use packagist_api::{Node, Query};
use serde::Serialize;
use url::Url;

use crate::error::ApiError;
use crate::state::AppState;

/// The most that a page may have, and what it has without `limit`.
const MOST: i64 = 10_000;
/// The last page that can be asked for: of all that there could be.
const LAST: i64 = 1_000_000_000;

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    limit: i64,
    number: i64,
}

impl Page {
    /// The page that a request asks for.
    pub(crate) fn of(query: &Query) -> Result<Self, ApiError> {
        Ok(Self {
            limit: number(query, "limit", MOST, MOST)?,
            number: number(query, "page", LAST, 1)?,
        })
    }

    /// How many rows it has, and how many come before.
    pub(crate) fn rows(self) -> (i64, i64) {
        (self.limit, (self.number - 1) * self.limit)
    }

    /// The answer: the page's part of a list of `total`, and links to the others with all that was asked for.
    ///
    /// Source: the official client reads `<URL>; rel="next"` and nothing else, and follows it until there is none.
    pub(crate) fn answer<T: Serialize>(
        self,
        part: &[T],
        total: i64,
        base: &Url,
        path: &str,
        query: &Query,
    ) -> Response {
        let last = (total.max(1) + self.limit - 1) / self.limit;
        let link = |number: i64, relation: &str| {
            let url = self.url(number, base, path, query);
            format!("<{url}>; rel=\"{relation}\"")
        };
        let mut links = vec![link(1, "first")];
        if self.number > 1 {
            links.push(link((self.number - 1).min(last), "prev"));
        }
        if self.number < last {
            links.push(link(self.number + 1, "next"));
        }
        links.push(link(last, "last"));
        ([(header::LINK, links.join(", "))], Json(part)).into_response()
    }

    /// The answer out of a list that is there as a whole.
    pub(crate) fn part<T: Serialize>(
        self,
        all: &[T],
        state: &AppState,
        path: &str,
        query: &Query,
    ) -> Response {
        let (limit, offset) = self.rows();
        let [limit, offset] = [limit, offset].map(|count| usize::try_from(count).unwrap_or(0));
        let from = offset.min(all.len());
        let part = &all[from..all.len().min(from + limit)];
        let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
        self.answer(part, total, &state.registry().public_url(), path, query)
    }

    fn url(self, number: i64, base: &Url, path: &str, query: &Query) -> String {
        let mut url = base.clone();
        url.set_path(path);
        {
            let mut pairs = url.query_pairs_mut();
            let [page, limit] = [number, self.limit].map(|number| number.to_string());
            pairs
                .clear()
                .append_pair("page", &page)
                .append_pair("limit", &limit);
            for (name, node) in query.iter() {
                let (Some(name), Node::Value(value)) = (name.as_text(), node) else {
                    continue;
                };
                if name != "page" && name != "limit" {
                    pairs.append_pair(&name, &String::from_utf8_lossy(value));
                }
            }
        }
        url.into()
    }
}

/// The value of a parameter, if it is there.
pub(super) fn text<'q>(query: &'q Query, name: &str) -> Result<Option<&'q str>, ApiError> {
    match query.get(name) {
        None if query.has(name) => Err(ApiError::BadRequest(format!(
            "{name} is given once, as text"
        ))),
        value => Ok(value),
    }
}

fn number(query: &Query, name: &str, most: i64, default: i64) -> Result<i64, ApiError> {
    let Some(text) = text(query, name)? else {
        return Ok(default);
    };
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| ApiError::BadRequest(format!("{name} is a number from 1 to {most}")))
}
