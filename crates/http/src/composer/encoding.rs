//! Which of the stored forms a client takes, from `Accept-Encoding` with its weights.

use axum::http::HeaderValue;

/// The forms of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Zstd,
    Gzip,
    Identity,
}

/// The form with the greatest weight in all lines of the header; among equals the smaller one. Without the header, no compression. A client that
/// refuses everything gets gzip: it is what everybody understands.
pub(super) fn choose<'a>(lines: impl Iterator<Item = &'a HeaderValue>) -> Encoding {
    let (mut zstd, mut gzip, mut x_gzip, mut identity, mut rest) = (None, None, None, None, None);
    let texts = lines.filter_map(|line| line.to_str().ok());
    for (name, weight) in texts.flat_map(|line| line.split(',')).filter_map(offer) {
        let form = match name {
            "*" => &mut rest,
            _ if name.eq_ignore_ascii_case("gzip") => &mut gzip,
            _ if name.eq_ignore_ascii_case("zstd") => &mut zstd,
            _ if name.eq_ignore_ascii_case("x-gzip") => &mut x_gzip,
            _ if name.eq_ignore_ascii_case("identity") => &mut identity,
            _ => continue,
        };
        form.get_or_insert(weight);
    }
    let zstd = zstd.or(rest).unwrap_or(0);
    let gzip = gzip.or(x_gzip).or(rest).unwrap_or(0);
    let identity = identity.or(rest.filter(|rest| *rest == 0)).unwrap_or(1);
    if zstd > 0 && zstd >= gzip && zstd >= identity {
        Encoding::Zstd
    } else if gzip >= identity {
        Encoding::Gzip
    } else {
        Encoding::Identity
    }
}

/// `gzip;q=0.5` as name and thousandths.
fn offer(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some((name, weight.map_or(1_000, thousandths)))
}

/// `0.5` as 500; what is no weight counts as 0.
fn thousandths(weight: &str) -> u16 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    match whole {
        "1" => 1_000,
        "0" => format!("{fraction:0<3}")
            .get(..3)
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("deflate, gzip, br, zstd", Encoding::Zstd)]
    #[case("gzip", Encoding::Gzip)]
    #[case("GZIP", Encoding::Gzip)]
    #[case("gzip;q=1.0, zstd;q=0.5", Encoding::Gzip)]
    #[case("gzip;q=0.5, zstd;q=0.50", Encoding::Zstd)]
    #[case("zstd;q=0, gzip", Encoding::Gzip)]
    #[case("*", Encoding::Zstd)]
    #[case("*, zstd;q=0", Encoding::Gzip)]
    #[case("identity", Encoding::Identity)]
    #[case("identity, gzip;q=0.5", Encoding::Identity)]
    #[case("deflate, br", Encoding::Identity)]
    #[case("gzip;q=0", Encoding::Identity)]
    #[case("identity;q=0", Encoding::Gzip)]
    #[case("*;q=0", Encoding::Gzip)]
    #[case("gzip;q=nonsense", Encoding::Identity)]
    #[case("", Encoding::Identity)]
    fn weights_decide(#[case] accept: &'static str, #[case] encoding: Encoding) {
        let lines = [HeaderValue::from_static(accept)];
        assert_eq!(choose(lines.iter()), encoding);
    }

    #[test]
    fn without_the_header_nothing_is_compressed() {
        assert_eq!(choose([].iter()), Encoding::Identity);
    }
}
