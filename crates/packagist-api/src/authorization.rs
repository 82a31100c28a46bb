//! The `Authorization` header of the API, in all forms in which clients send it.

/// Begins a signature.
const SCHEME: &str = "PACKAGIST-HMAC-SHA256";
/// Begins a key without one.
const TOKEN: &str = "PACKAGIST-TOKEN";
/// No part of a signature is longer: a key of ours has 74 characters.
const LONGEST: usize = 256;

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// The request is signed.
    Signed(Signature),
    /// A key without a signature, which the service takes for reading.
    Key(String),
}

/// A signature with what was signed beside the request. Who made it is only claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The public half of the key.
    pub key: String,
    /// Seconds since 1970, as they were sent.
    pub timestamp: String,
    /// Sent once.
    pub cnonce: String,
    /// By which rules it was made.
    pub version: SignatureVersion,
    /// The signature itself, in Base64.
    pub signature: String,
}

/// What a signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureVersion {
    /// All but the query, which anybody on the way can change: clients before 1.41.0.
    V1,
    /// All.
    V2,
}

/// Why a header is refused. The sentences of the first two are the service's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthorization {
    /// Another scheme, or no key.
    #[error("An authentication exception occurred.")]
    NotOurs,
    /// There is none.
    #[error("Request must contain a signature.")]
    NoSignature,
    /// There is none, or it is no number.
    #[error("Request must contain a timestamp.")]
    NoTimestamp,
    /// There is none.
    #[error("Request must contain a cnonce.")]
    NoCnonce,
    /// A part is there twice, or longer than any could be.
    #[error("The Authorization header is malformed.")]
    Malformed,
    /// From the future.
    #[error("Unsupported signature version.")]
    Version,
}

impl Authorization {
    /// Reads the header. Parts may come in any order, between commas, white space or both; a value goes on until then.
    ///
    /// Source: third-party clients that work with the service (packagist-api.md, section 3).
    pub fn parse(header: &str) -> Result<Self, InvalidAuthorization> {
        let header = header.trim();
        let (scheme, rest) = header
            .split_once(char::is_whitespace)
            .ok_or(InvalidAuthorization::NotOurs)?;
        if scheme.eq_ignore_ascii_case(TOKEN) {
            let key = rest.trim();
            let is_key =
                !key.is_empty() && key.len() <= LONGEST && !key.contains(char::is_whitespace);
            return if is_key {
                Ok(Self::Key(key.to_owned()))
            } else {
                Err(InvalidAuthorization::NotOurs)
            };
        }
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(InvalidAuthorization::NotOurs);
        }
        Signature::parse(rest).map(Self::Signed)
    }
}

impl Signature {
    fn parse(parts: &str) -> Result<Self, InvalidAuthorization> {
        let [
            mut key,
            mut timestamp,
            mut cnonce,
            mut version,
            mut signature,
        ] = [None; 5];
        let is_between = |character: char| character == ',' || character.is_whitespace();
        for part in parts.split(is_between).filter(|part| !part.is_empty()) {
            let (name, value) = part
                .split_once('=')
                .ok_or(InvalidAuthorization::Malformed)?;
            let slot = match name {
                "Key" => &mut key,
                "Timestamp" => &mut timestamp,
                "Cnonce" => &mut cnonce,
                "Version" => &mut version,
                "Signature" => &mut signature,
                _ => continue,
            };
            if slot.replace(value).is_some() || value.len() > LONGEST {
                return Err(InvalidAuthorization::Malformed);
            }
        }
        let given = |value: Option<&str>, error| {
            value
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .ok_or(error)
        };
        let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        Ok(Self {
            key: given(key, InvalidAuthorization::NotOurs)?,
            signature: given(signature, InvalidAuthorization::NoSignature)?,
            timestamp: given(
                timestamp.filter(is_number),
                InvalidAuthorization::NoTimestamp,
            )?,
            cnonce: given(cnonce, InvalidAuthorization::NoCnonce)?,
            version: match version {
                None | Some("1") => SignatureVersion::V1,
                Some("2") => SignatureVersion::V2,
                Some(_) => return Err(InvalidAuthorization::Version),
            },
        })
    }
}

/// As the official client writes it.
impl std::fmt::Display for Signature {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            key,
            timestamp,
            cnonce,
            version,
            signature,
        } = self;
        write!(
            out,
            "{SCHEME} Key={key}, Timestamp={timestamp}, Cnonce={cnonce}, "
        )?;
        if *version == SignatureVersion::V2 {
            out.write_str("Version=2, ")?;
        }
        write!(out, "Signature={signature}")
    }
}
