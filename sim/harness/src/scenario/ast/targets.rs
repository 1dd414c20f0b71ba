//! What a step names: stores, clients, filters.

/// Stores, as a step names them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The store of this number, from 1.
    Store(u64),
    /// The store that leads the step's region: that of its `of`, or the first; the one with the highest term if several
    /// think so.
    Leader,
    /// The store that leads the region of this key.
    LeaderOf(String),
    /// One running member of the step's region other than its leader, drawn by the run.
    Follower,
    /// The same of the region of this key.
    FollowerOf(String),
    /// Every member of the step's region but its leader, running or not.
    Followers,
    /// The same of the region of this key.
    FollowersOf(String),
    /// Every store.
    All,
    /// Every store that the step does not name otherwise; at an end of a link, that the other end does not name.
    Others,
    /// The store that an earlier step bound by `as` or `name`.
    Named(String),
}

impl Target {
    /// Whether it can stand for several stores, so that it cannot be where one is needed.
    #[must_use]
    pub fn is_plural(&self) -> bool {
        matches!(self, Target::Followers | Target::FollowersOf(_) | Target::All | Target::Others)
    }
}

/// An end of a link: stores, clients or the placement driver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// Stores.
    Stores(Target),
    /// `"client N"`: one client, from 1.
    Client(u32),
    /// `"clients"`: every client, the scenario's own included.
    Clients,
    /// `"placement"`: the placement driver.
    Placement,
}

/// Which filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterRef {
    /// `"all"`
    All,
    /// The one that an earlier step named by `as`.
    Named(String),
}
