//! `trustgate pin` against a trust server: diffs, checks, JSON, SARIF.
