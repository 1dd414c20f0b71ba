//! What the engine that started us says. Nothing of it takes part in a run.

/// A variable, where it is set and not empty.
#[allow(
    clippy::disallowed_methods,
    reason = "for shards, annotations and the commit in reports; no run sees it"
)]
pub(crate) fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The version of the code under test by the usual engines.
const COMMITS: &[&str] = &[
    "GITHUB_SHA",
    "CI_COMMIT_SHA",
    "BUILDKITE_COMMIT",
    "CIRCLE_SHA1",
    "BITBUCKET_COMMIT",
    "SEMAPHORE_GIT_SHA",
    "BUILD_SOURCEVERSION",
    "GIT_COMMIT",
];

/// The commit that was given, or that of the engine, or `unknown`.
pub(crate) fn commit(given: Option<&str>) -> String {
    let given = given.map(str::to_owned);
    given.or_else(|| COMMITS.iter().find_map(|name| var(name))).unwrap_or_else(|| "unknown".to_owned())
}

/// Whether GitHub Actions runs us.
pub(crate) fn is_github() -> bool {
    var("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}
