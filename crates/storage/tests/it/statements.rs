//! Every SQL text of the crate is prepared on both databases, and there is none that this test does not find.

use std::path::{Path, PathBuf};

use kapelle_testing::postgres::TestPostgres;
use sqlx::{
    AssertSqlSafe, Column, Connection, Executor, PgConnection, SqlSafeStr, SqliteConnection,
    Statement, TypeInfo,
};

use crate::world::open;

/// A marked text: for SQLite and for PostgreSQL.
pub(crate) struct Marked {
    pub(crate) place: String,
    pub(crate) sqlite: String,
    postgres: String,
}

#[tokio::test]
async fn every_statement_is_prepared_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("kapelle.db").display());
    open(&url).await.close().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for Marked { place, sqlite, .. } in marked() {
        let prepared = connection
            .prepare(AssertSqlSafe(sqlite.as_str()).into_sql_str())
            .await;
        assert!(
            prepared.is_ok(),
            "{place}: {}\n{sqlite}",
            prepared.err().unwrap()
        );
    }
}

#[tokio::test]
async fn every_statement_is_prepared_on_postgresql() {
    let database = TestPostgres::create().await;
    open(database.url()).await.close().await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    for Marked {
        place, postgres, ..
    } in marked()
    {
        let prepared = connection
            .prepare(AssertSqlSafe(postgres.as_str()).into_sql_str())
            .await;
        let prepared = prepared.unwrap_or_else(|error| {
            panic!(
                "{place}: {error}
{postgres}"
            )
        });
        for column in prepared.columns() {
            let known =
                ["INT8", "TEXT", "BYTEA", "BOOL", "VOID"].contains(&column.type_info().name());
            assert!(
                known,
                "{place}: a column is {}
{postgres}",
                column.type_info()
            );
        }
    }
}

#[test]
fn no_query_is_written_outside_the_marker() {
    for (path, source) in sources() {
        for literal in literals(&without_marked(&source)) {
            let sql = [
                "SELECT ",
                "INSERT INTO ",
                "UPDATE ",
                "DELETE FROM ",
                "CREATE ",
                "ALTER ",
                "DROP ",
            ];
            assert!(
                !sql.iter().any(|word| literal.contains(word)),
                "{}: {literal:?}",
                path.display()
            );
        }
    }
}

#[test]
fn a_text_is_found_in_each_form_of_the_marker() {
    let found = marked_in(
        "x",
        "a(sql!(\"A \\\"b\\\" )\"), sql!(\n sqlite: \"S\",\n postgres: \"P\",\n))",
    );
    let texts: Vec<_> = found
        .iter()
        .map(|found| (found.sqlite.as_str(), found.postgres.as_str()))
        .collect();
    assert_eq!(texts, [("A \"b\" )", "A \"b\" )"), ("S", "P")]);
}

pub(crate) fn marked() -> Vec<Marked> {
    let mut all = Vec::new();
    for (path, source) in sources() {
        let found = marked_in(&path.display().to_string(), &source);
        assert_eq!(
            found.len(),
            source.matches("sql!(").count(),
            "{}",
            path.display()
        );
        all.extend(found);
    }
    assert!(all.len() > 100, "only {} statements were found", all.len());
    all
}

fn marked_in(place: &str, source: &str) -> Vec<Marked> {
    spans(source)
        .into_iter()
        .map(|span| {
            let texts = literals(&source[span.clone()]);
            let (sqlite, postgres) = match texts.as_slice() {
                [both] => (both.clone(), both.clone()),
                [sqlite, postgres] => (sqlite.clone(), postgres.clone()),
                _ => panic!("{place}: {}", &source[span]),
            };
            let place = format!("{place}:{}", source[..span.start].lines().count());
            Marked {
                place,
                sqlite,
                postgres,
            }
        })
        .collect()
}

/// Where the markers' parentheses begin and end.
fn spans(source: &str) -> Vec<std::ops::Range<usize>> {
    let starts = source
        .match_indices("sql!(")
        .map(|(at, marker)| at + marker.len());
    starts
        .map(|start| start..start + closing(&source[start..]))
        .collect()
}

/// The place of the parenthesis that closes one opened before `text`.
fn closing(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (1, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    panic!("no end of {text:.60}")
}

fn without_marked(source: &str) -> String {
    let mut rest = source.to_owned();
    for span in spans(source).into_iter().rev() {
        rest.replace_range(span, "");
    }
    rest
}

/// The string literals of a source without comments.
fn literals(source: &str) -> Vec<String> {
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let (mut found, mut current, mut escaped) = (Vec::new(), None::<String>, false);
    for character in code.replace("'\"'", "").chars() {
        match (&mut current, character) {
            (Some(text), _) if escaped => {
                escaped = false;
                text.push(character);
            }
            (Some(_), '\\') => escaped = true,
            (Some(_), '"') => found.extend(current.take()),
            (Some(text), _) => text.push(character),
            (None, '"') => current = Some(String::new()),
            (None, _) => {}
        }
    }
    found
}

/// Every source file but the marker's own.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("statement.rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                // What unit tests ask for themselves, no engine of an operator ever sees.
                let product = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
                found.push((path, product.to_owned()));
            }
        }
    }
    found.sort();
    found
}
