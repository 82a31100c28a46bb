//! Secrets at rest: our key opens each of them.

use kapelle_storage::db::{api_keys, credentials, organizations};

use super::walk::{Suspects, Walk};
use super::{Checked, Finding, Kind, VerifyError};
use crate::{api_key, credential, organization};

/// Opens every secret and forgets it again.
pub(super) async fn check(walk: &Walk<'_>) -> Result<(), VerifyError> {
    let registry = walk.registry;
    for id in walk.organizations() {
        let mut connection = registry.database().read().await?;
        let Some(owner) = organizations::find_by_id(&mut connection, id).await? else {
            continue;
        };
        let credentials = credentials::list(&mut connection, id).await?;
        let keys = api_keys::list(&mut connection, id).await?;
        drop(connection);
        let mut secrets = vec![(
            "the secret of its hooks".to_owned(),
            "run `kapelle hook rotate`, and enter the new secret at every hosting service",
            organization::hook_secret(registry, &owner).is_ok(),
        )];
        secrets.extend(credentials.iter().map(|row| {
            let what = format!("credential {} for {}", row.id, row.host);
            let advice = "remove it and add it again";
            (what, advice, credential::is_readable(registry, row))
        }));
        secrets.extend(keys.iter().map(|row| {
            let place = api_key::secret_place(&row.key);
            let opened = registry.parts.secrets.open(&place, &row.secret);
            let advice = "make another with `kapelle api-key create`, and remove this one";
            (format!("the API key {}", row.id), advice, opened.is_ok())
        }));
        walk.count(Checked {
            secrets: secrets.len() as u64,
            ..Checked::default()
        });
        let mut suspects = Suspects::default();
        for (what, advice, _) in secrets.iter().filter(|(_, _, opens)| !opens) {
            suspects.broken(Finding::new(
                Kind::SecretUnreadable,
                walk.about_organization(id),
                format!("{what} cannot be decrypted with the key of this installation"),
                *advice,
            ));
        }
        walk.report(suspects);
    }
    Ok(())
}
