//! Nonces of signed requests that change something: none is accepted twice, whichever process it comes to.

use crate::Result;
use crate::handle::{Transaction, execute};
use crate::statement::sql;
use crate::value::values;

/// Notes a nonce of an API key; `false`: it was noted before, or the key is gone.
pub async fn insert(
    tx: &mut Transaction,
    api_key_id: i64,
    cnonce: &str,
    seen_at: i64,
) -> Result<bool> {
    let sql = sql!(
        "INSERT INTO api_nonces (api_key_id, cnonce, seen_at)
         SELECT id, CAST($2 AS TEXT), CAST($3 AS BIGINT) FROM api_keys WHERE id = $1
         ON CONFLICT (api_key_id, cnonce) DO NOTHING"
    );
    Ok(execute(tx, sql, values![api_key_id, cnonce, seen_at]).await? > 0)
}

/// Forgets those that were noted before a time.
pub async fn prune(tx: &mut Transaction, before: i64) -> Result<u64> {
    let sql = sql!("DELETE FROM api_nonces WHERE seen_at < $1");
    execute(tx, sql, values![before]).await
}
