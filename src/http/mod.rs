//! One bounded HTTP client: TLS roots, proxies, limits, the token dance, docker's credentials.
