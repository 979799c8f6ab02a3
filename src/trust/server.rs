//! Which trust server holds a repository's trust data.

use url::Url;

use crate::image::Gun;

/// The trust server of a repository: `override_url` (the value of `DOCKER_CONTENT_TRUST_SERVER`,
/// which counts for every registry), else Docker Hub's own, else the registry's host.
pub fn server_for(gun: &Gun, override_url: Option<&str>) -> Result<Url, ServerError> {
    match override_url {
        // Docker takes an empty variable for an unset one.
        Some(text) if !text.is_empty() => parse_server(text),
        _ if gun.domain() == "docker.io" => parse_server(HUB_SERVER),
        _ => parse_server(&format!("https://{}", gun.domain())),
    }
}

/// Checks that a URL can be a trust server's: `https`, a host, no user, query or fragment.
pub(super) fn check_server(url: &Url) -> Result<(), ServerError> {
    let reason = if url.scheme() != "https" {
        "is not an https URL"
    } else if url.host_str().is_none_or(|host| host.split('.').all(str::is_empty)) {
        "names no host"
    } else if !url.username().is_empty() || url.password().is_some() {
        "holds a user or a password; use docker login"
    } else if url.query().is_some() || url.fragment().is_some() {
        "has a query or a fragment"
    } else {
        return Ok(());
    };
    Err(ServerError { text: crate::http::shown(url), reason: reason.to_owned() })
}

fn parse_server(text: &str) -> Result<Url, ServerError> {
    let url: Url = text.parse().map_err(|error: url::ParseError| ServerError {
        text: text.chars().take(SHOWN_LIMIT).collect(),
        reason: format!("is not a URL: {error}"),
    })?;
    check_server(&url)?;
    Ok(url)
}

/// An address that can't be a trust server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the trust server `{text}` {reason}")]
pub struct ServerError {
    text: String,
    reason: String,
}

const HUB_SERVER: &str = "https://notary.docker.io";
/// Enough of a wrong address to recognise it.
const SHOWN_LIMIT: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(gun: &str, override_url: Option<&str>) -> Result<String, String> {
        let gun: Gun = gun.parse().unwrap();
        server_for(&gun, override_url).map(|url| url.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_variable_then_the_hub_then_the_registry() {
        assert_eq!(check("docker.io/library/alpine", None).unwrap(), "https://notary.docker.io/");
        assert_eq!(check("127.0.0.1:5000/a", None).unwrap(), "https://127.0.0.1:5000/");
        assert_eq!(check("127.0.0.1:5000/a", Some("")).unwrap(), "https://127.0.0.1:5000/");
        assert_eq!(check("[::1]:5000/a", None).unwrap(), "https://[::1]:5000/");
        for gun in ["docker.io/library/alpine", "registry.example/a"] {
            assert_eq!(check(gun, Some("https://t.example:4443/x")).unwrap(), "https://t.example:4443/x");
        }
    }

    #[test]
    fn only_https_without_extras() {
        for text in [
            "http://t.example",
            "t.example",
            "ftp://t",
            "https://",
            "https://u:p@t",
            "https://t/?a",
            "https://..",
            "https://t#f",
        ] {
            let error = check("a.example/b", Some(text)).unwrap_err();
            assert!(!error.contains("u:p"), "{error}");
        }
    }
}
