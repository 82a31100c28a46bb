//! No statement looks at every row of a table that grows, unless it is known to: on SQLite, whose plans do not depend on
//! how many rows there are.

use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use crate::statements::{Marked, marked};
use crate::world::open;

/// Tables that grow with packages, versions, work or time.
const GROWING: [&str; 13] = [
    "audit",
    "blobs",
    "changes",
    "dists",
    "documents",
    "install_statistics",
    "job_log",
    "jobs",
    "package_references",
    "package_refs",
    "packages",
    "linked_names",
    "versions",
];

/// What may look at everything, by a part of its text, and why.
const KNOWN: [(&str, &str); 15] = [
    ("FROM audit", "pages of a log, newest first"),
    ("COUNT(*) AS value FROM blobs", "an operator verifies"),
    ("COUNT(*) AS value FROM documents", "an operator verifies"),
    ("COUNT(*) AS value FROM packages\"", "an operator verifies"),
    (
        "COUNT(*) AS value FROM packages WHERE organization_id = $1 AND removed_at IS NULL\"",
        "an operator counts",
    ),
    (
        "(CAST($2 AS TEXT) IS NULL OR origin = $2)",
        "a page of a list, and how long that is",
    ),
    ("INSERT INTO organizations", "of a key that nothing has yet"),
    (
        "FROM documents WHERE organization_id = $1 ORDER BY path",
        "tests look at all documents",
    ),
    (
        "AND (CAST($5 AS BIGINT) IS NULL OR id < $5)",
        "an operator looks at jobs, newest first",
    ),
    (
        "WHERE state IN ('queued', 'running') GROUP BY state",
        "tests look at what is left to do",
    ),
    ("MIN(run_at)", "tests move the clock"),
    ("WHERE owner = $1 AND state = 'running'", "only what runs"),
    ("COUNT(*) > $2", "has a limit"),
    ("LIMIT $7 OFFSET $8", "search: the words may be anywhere"),
    ("LIKE", "search: the words may be anywhere"),
];

#[tokio::test]
async fn no_statement_looks_at_every_row_of_a_table_that_grows() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("kapelle.db").display());
    open(&url).await.close().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let mut unknown = Vec::new();
    let mut met = [false; KNOWN.len()];
    for statement in marked() {
        let explained = format!("EXPLAIN QUERY PLAN {}", statement.sqlite);
        // What is no query has no plan.
        let Ok(plan) = sqlx::query(AssertSqlSafe(explained))
            .fetch_all(&mut connection)
            .await
        else {
            continue;
        };
        let steps: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
        let Some(step) = steps.iter().find(|step| looks_at_everything(step)) else {
            continue;
        };
        let text = format!("{}\"", statement.sqlite);
        match KNOWN.iter().position(|(part, _)| text.contains(part)) {
            Some(known) => met[known] = true,
            None => unknown.push(format!("{}: {step}\n{}", statement.place, statement.sqlite)),
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n\n"));
    for ((part, reason), met) in KNOWN.iter().zip(met) {
        assert!(met, "no longer there: {part} ({reason})");
    }
}

#[tokio::test]
async fn names_and_whether_there_are_versions_are_read_from_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("kapelle.db").display());
    open(&url).await.close().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let of_each_package =
        |statement: &&Marked| statement.sqlite.contains("(SELECT 1 FROM versions");
    let statements = marked();
    let mut names = 0;
    for statement in statements.iter().filter(of_each_package) {
        let explained = format!("EXPLAIN QUERY PLAN {}", statement.sqlite);
        let plan = sqlx::query(AssertSqlSafe(explained));
        let plan = plan.fetch_all(&mut connection).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
        let covering = |table: &str| {
            let search = format!("SEARCH {table} ");
            let is = |step: &&String| step.starts_with(&search);
            let mut searches = steps.iter().filter(is);
            searches.any(|step| step.contains(" USING COVERING INDEX "))
        };
        let packages = steps.iter().any(|step| step.starts_with("SEARCH packages"));
        assert!(
            !packages || covering("versions"),
            "{}: {steps:?}",
            statement.place
        );
        if statement
            .sqlite
            .starts_with("SELECT id, name FROM packages")
        {
            assert!(covering("packages"), "{steps:?}");
            names += 1;
        }
    }
    assert_eq!(names, 1);
}

/// A scan, or a search for nothing but the organization, of which there may be one.
fn looks_at_everything(step: &str) -> bool {
    let mut words = step.split(' ');
    let (verb, table) = (words.next(), words.next().unwrap_or_default());
    let narrowed = step
        .rsplit_once(" (")
        .map(|(_, terms)| terms.trim_end_matches(')'));
    let by_organization = matches!(
        narrowed,
        Some("organization_id=?" | "organization_id=? AND name>?")
    );
    (verb == Some("SCAN") || by_organization) && GROWING.contains(&table)
}

#[test]
fn scans_are_told_from_searches() {
    for (step, everything) in [
        ("SCAN packages", true),
        ("SCAN jobs USING INDEX jobs_one_queued", true),
        ("SCAN CONSTANT ROW", false),
        (
            "SEARCH packages USING INDEX packages_by_name (organization_id=? AND name=?)",
            false,
        ),
        (
            "SEARCH packages USING INDEX packages_by_organization (organization_id=?)",
            true,
        ),
        (
            "SEARCH tokens USING INDEX tokens_by_organization (organization_id=?)",
            false,
        ),
    ] {
        assert_eq!(looks_at_everything(step), everything, "{step}");
    }
}
