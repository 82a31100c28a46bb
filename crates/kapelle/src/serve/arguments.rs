//! The flags of the processes that stay; most of them are settings.

use std::path::PathBuf;

use clap::Args;

/// Section, field, flag and value of a setting.
type FlagSetting = (&'static str, &'static str, &'static str, String);

/// Serve packages over HTTP and work in the background
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where clients reach this registry [default: the address it listens on]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Serve https with this certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<String>,
    /// The certificate's private key, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<String>,
    /// Serve https with a certificate of our own making
    #[arg(long, conflicts_with = "tls_certificate")]
    tls_self_signed: bool,
    /// Leave the work in the background to `kapelle worker`
    #[arg(long)]
    pub(super) no_worker: bool,
    /// Add the repositories of this satis.json after the start
    #[arg(long, value_name = "FILE")]
    pub(super) import: Option<PathBuf>,
    /// The organization for --import [default: the only one, or a new one, "main"]
    #[arg(long, value_name = "NAME", requires = "import")]
    pub(super) organization: Option<String>,
    /// Serve two demonstration packages, and print the lines to paste into a project
    #[arg(long)]
    pub(super) demo: bool,
}

/// Work in the background only, beside servers on the same database
#[derive(Debug, Args)]
pub(crate) struct WorkerArguments {
    /// How many jobs to run at once [default: 4]
    #[arg(long, value_name = "NUMBER")]
    slots: Option<String>,
}

impl ServeArguments {
    /// The flags that are settings.
    pub(crate) fn settings(&self) -> Vec<FlagSetting> {
        let self_signed = self.tls_self_signed.then(|| "true".to_owned());
        [
            ("listen", "--listen", self.listen.clone()),
            ("public_url", "--public-url", self.public_url.clone()),
            (
                "tls_certificate",
                "--tls-certificate",
                self.tls_certificate.clone(),
            ),
            ("tls_key", "--tls-key", self.tls_key.clone()),
            ("tls_self_signed", "--tls-self-signed", self_signed),
        ]
        .into_iter()
        .filter_map(|(field, flag, value)| Some(("server", field, flag, value?)))
        .collect()
    }
}

impl WorkerArguments {
    /// The flags that are settings.
    pub(crate) fn settings(&self) -> Vec<FlagSetting> {
        self.slots
            .clone()
            .map(|slots| ("jobs", "slots", "--slots", slots))
            .into_iter()
            .collect()
    }
}
