//! The doctor's look at a server that runs.

use serde_json::Value;

use crate::world::Installation;

/// The check of the public URL.
async fn public_url(installation: &Installation) -> Value {
    let checks = installation.json(&["doctor"]).await;
    let mut all = checks.as_array().expect("a list of checks").iter();
    all.find(|check| check["name"] == "public URL")
        .expect("the check of the public URL")
        .clone()
}

#[tokio::test]
async fn a_certificate_is_trusted_that_is_ours_or_named_and_no_other() {
    let installation = Installation::new();
    let (server, _) = installation.serve(&["--tls-self-signed"]).await;
    let check = public_url(&installation).await;
    assert_eq!(check["verdict"], "ok", "{check:#}");

    let elsewhere = installation.folder().join("authority.pem");
    std::fs::rename(installation.data().join("tls/certificate.pem"), &elsewhere).unwrap();
    let check = public_url(&installation).await;
    let (finding, advice) = (check["finding"].to_string(), check["advice"].to_string());
    assert_eq!(check["verdict"], "warn", "{check:#}");
    assert!(finding.contains("is not trusted here"), "{finding}");
    assert!(advice.contains("KAPELLE_NETWORK__CA_FILE"), "{advice}");

    let path = elsewhere.display().to_string();
    let installation = installation.set("KAPELLE_NETWORK__CA_FILE", &path);
    let check = public_url(&installation).await;
    assert_eq!(check["verdict"], "ok", "{check:#}");
    server.terminate().await;
}
