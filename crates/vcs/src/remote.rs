//! Asks a repository which branches and tags it has, following redirects the guarded way.

use kapelle_outbound::{HeaderMap, HeaderName, HeaderValue, Url, header};

use crate::command::GitCommand;
use crate::connection::{Connection, refused};
use crate::error::VcsError;
use crate::git::{Access, Git};
use crate::listing::{Lines, Listing};
use crate::url::RepositoryUrl;

/// What git asks a server first; what answers it is the repository.
const INFO: &str = "/info/refs?service=git-upload-pack";
/// What a repository answers to that.
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
/// How long an answer without refs may be.
const MAX_INFO: u64 = 64 * 1024;

impl Git {
    /// Lists the branches and tags of a repository. Nothing is fetched.
    ///
    /// A redirect is followed once, by our own client: see [`Listing::redirected_to`].
    pub async fn list_refs(&self, access: &Access<'_>) -> Result<Listing, VcsError> {
        match self.list_once(access).await {
            Err(VcsError::Redirected { detail, .. }) => {
                let url = self.redirect_target(access, detail).await?;
                let listing = self.list_once(&redirected(access, &url)).await?;
                Ok(Listing {
                    redirected_to: Some(url),
                    ..listing
                })
            }
            outcome => outcome,
        }
    }

    async fn list_once(&self, access: &Access<'_>) -> Result<Listing, VcsError> {
        let connection = Connection::open(self, access).await?;
        let doing = format!("list the refs of {}", access.url);
        let command = GitCommand::new(self, &*doing, &["ls-remote", "--quiet", "--symref"])
            .limit(self.config().list_timeout);
        let mut lines = Lines::new(access.url, self.config().max_refs);
        let finished = connection
            .prepare(command)
            .stream(|piece| lines.feed(piece))
            .await?;
        connection.judge(&doing, &finished)?;
        if !lines.any {
            self.expect_repository(access).await?;
        }
        let mut listing = lines.finish();
        listing.new_host_keys = connection.new_host_keys()?;
        Ok(listing)
    }

    /// To git, a web page without line ends is a repository without refs. A real one says what it is.
    async fn expect_repository(&self, access: &Access<'_>) -> Result<(), VcsError> {
        if !access.url.protocol().is_http() {
            return Ok(());
        }
        let outbound = &self.config().outbound;
        let answer = outbound
            .get(&info(access.url)?, authorization(access), MAX_INFO)
            .await
            .map_err(|error| refused(access.url, error))?;
        let kind = answer.headers.get(header::CONTENT_TYPE);
        if kind.is_some_and(|kind| kind == ADVERTISEMENT) {
            return Ok(());
        }
        Err(VcsError::NotARepository {
            url: access.url.to_string(),
            detail: "the server answers with something else".to_owned(),
        })
    }

    /// Where a redirecting server leads. Each hop is checked; the credential stays at its own host.
    pub(crate) async fn redirect_target(
        &self,
        access: &Access<'_>,
        detail: String,
    ) -> Result<RepositoryUrl, VcsError> {
        let not_followed = |detail: String| VcsError::Redirected {
            url: access.url.to_string(),
            detail,
        };
        let asked = info(access.url)?;
        let reached = self
            .config()
            .outbound
            .follow(&asked, authorization(access))
            .await
            .map_err(|error| refused(access.url, error))?;
        let Some(target) = reached.as_str().strip_suffix(INFO) else {
            return Err(not_followed(
                "it leads to something that is not a repository, perhaps a login page".to_owned(),
            ));
        };
        if reached == asked {
            return Err(not_followed(detail));
        }
        RepositoryUrl::parse(target, &self.config().protocols)
            .map_err(|error| not_followed(error.to_string()))
    }
}

/// The same access at another place. A credential that was meant for one host is not shown to another.
pub(crate) fn redirected<'a>(access: &Access<'a>, url: &'a RepositoryUrl) -> Access<'a> {
    let credential = access.credential.filter(|_| url.same_origin(access.url));
    Access {
        url,
        credential,
        ..*access
    }
}

fn info(url: &RepositoryUrl) -> Result<Url, VcsError> {
    let base = url.to_string();
    let asked = format!("{}{INFO}", base.trim_end_matches('/'));
    Url::parse(&asked).map_err(|error| VcsError::NotARepository {
        url: base,
        detail: error.to_string(),
    })
}

fn authorization(access: &Access<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some((name, value)) = access.credential.and_then(|it| it.header(access.url)) else {
        return headers;
    };
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_str(&value)) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers
}
