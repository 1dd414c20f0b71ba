//! Snapshots of regions: what they consist of, how they are sent, how they are received.

mod body;

pub use body::Body;
