//! `[network]`: what outbound requests may reach.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::section::section;

section! {
    /// What requests to other servers may reach, and how long they may take.
    network: Network {
        /// Address ranges that may be reached although they are private, for Git hosts inside your network: `10.1.0.0/16`.
        ///
        /// Everything that is not the public internet is refused otherwise, however a URL or a redirect names it.
        allow: Vec<IpNet> = Vec::new(),
        /// How many packages are fetched from one host at once.
        per_host: usize = 4,
        /// How long a server may take to begin its answer.
        first_byte_timeout: Duration = Duration::from_secs(30),
        /// How long a request may take in all.
        total_timeout: Duration = Duration::from_mins(10),
        /// How many redirects are followed.
        max_redirects: usize = 5,
        /// A PEM file of root certificates to trust beside the machine's, for hosts that an own authority signed.
        ///
        /// Git has a setting of its own: `vcs.ca_file`.
        ca_file: Option<PathBuf> = None,
    }
}
