//! What an engine says while it pulls or pushes, one JSON object a line.

/// One line of an engine's progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What it is about: a layer's ID or a tag, or empty.
    pub id: String,
    /// What happens: `Pushing`, `Layer already exists`.
    pub status: String,
    /// How far it is.
    pub counter: Option<Counter>,
}

/// How far a layer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// What is done.
    pub current: i64,
    /// What there is to do; 0 where that is unknown.
    pub total: i64,
    /// What is counted; bytes where empty.
    pub units: String,
    /// Whether only the bar is shown.
    pub hide_counts: bool,
}
